import type { Outcome, UsageEvent } from '@tollgate/contracts';
import { NO_SPAN, type Span } from '@tollgate/runtime';
import type { GatewayMetrics } from './gateway-metrics.js';

/** What is known of a request when it arrives. */
export interface ArrivedRequest {
  readonly requestId: string;
  readonly endpoint: string;
  /** Monotonic milliseconds. */
  readonly startedAtMs: number;
  /** The server span. */
  readonly span: Span;
}

/** The deployment that an attempt asks. */
interface AttemptedDeployment {
  readonly id: string;
  readonly name: string;
  readonly origin: string;
  readonly upstreamModel: string;
}

/** Where a client went before its answer had a status: as nginx logs it. */
const CLIENT_CLOSED_STATUS = 499;
const UNKNOWN_MODEL = 'unknown';

/** How the last attempt ended, where it did not fail on its own account. */
const RESULT_OF_OUTCOME: { readonly [outcome in Outcome]: string } = {
  completed: 'answered',
  cut_off: 'answered',
  client_closed: 'client_left',
  upstream_failed: 'internal',
  timeout: 'internal',
};

/**
 * Follows one request for metrics and traces. It is over when the connection's end of the answer is and, where it was
 * relayed, when the relay is too: either may come first.
 */
export class ObservedRequest {
  private model = UNKNOWN_MODEL;
  private outcome: string | null = null;
  private firstTokenAtMs: number | null = null;
  private attempt: Attempt | null = null;
  private isRelayed = false;
  private closedStatus: number | null = null;

  constructor(
    private readonly metrics: GatewayMetrics,
    private readonly arrived: ArrivedRequest,
  ) {}

  /** The server span, to begin others in. */
  get span(): Span {
    return this.arrived.span;
  }

  /** What every log line about the request names it by. */
  get logFields(): { readonly requestId: string; readonly traceId?: string } {
    const { requestId, span } = this.arrived;
    return span.traceId === null ? { requestId } : { requestId, traceId: span.traceId };
  }

  /** The request is resolved: `model` is one of the catalog. */
  relayBegins(model: string, isStream: boolean): void {
    this.isRelayed = true;
    this.model = model;
    this.span.set({ 'gen_ai.request.model': model, 'tollgate.stream': isStream });
  }

  attemptBegins(deployment: AttemptedDeployment): void {
    this.attempt = new Attempt(deployment, this.span);
  }

  /** `traceparent` for the deployment that is being asked; null where nothing is recorded. */
  get attemptTraceparent(): string | null {
    return this.attempt?.span.traceparent ?? null;
  }

  /** The head of the answer is there. */
  firstByte(): void {
    this.attempt?.firstByte();
  }

  /** The attempt ended without an answer, or in the middle of one. `kind` is a class of failures. */
  attemptFailed(kind: string): void {
    this.endAttempt(kind);
  }

  streamBegins(): void {
    this.metrics.openStreams += 1;
  }

  streamEnds(): void {
    this.metrics.openStreams -= 1;
  }

  /** The first output of a stream goes to the client. */
  firstToken(): void {
    this.firstTokenAtMs ??= performance.now();
  }

  /** The relay is done with a request that got its hold. */
  relayEnds(event: UsageEvent): void {
    this.endAttempt(RESULT_OF_OUTCOME[event.outcome]);
    this.outcome = event.outcome;
    this.metrics.used(event);
    const { input, cachedInput, output } = event.units;
    this.span.set({
      'tollgate.outcome': event.outcome,
      'tollgate.attempts': event.attempts,
      ...((input ?? cachedInput) !== undefined && {
        'gen_ai.usage.input_tokens': (input ?? 0) + (cachedInput ?? 0),
      }),
      ...(output !== undefined && { 'gen_ai.usage.output_tokens': output }),
    });
  }

  /** The relay is over, whether or not there was a hold. */
  relayLeaves(): void {
    this.isRelayed = false;
    if (this.closedStatus !== null) this.finish(this.closedStatus);
  }

  /** The connection's end of the answer is over. */
  answerEnds({ status, isBegun }: { readonly status: number; readonly isBegun: boolean }): void {
    this.closedStatus = isBegun ? status : CLIENT_CLOSED_STATUS;
    if (!this.isRelayed) this.finish(this.closedStatus);
  }

  private endAttempt(result: string): void {
    this.attempt?.end(this.metrics, result);
    this.attempt = null;
  }

  private finish(status: number): void {
    const { endpoint, startedAtMs, span } = this.arrived;
    const outcome = this.outcome ?? outcomeOf(status);
    this.metrics.ended({
      endpoint,
      model: this.model,
      outcome,
      status,
      seconds: (performance.now() - startedAtMs) / 1_000,
      firstTokenSeconds: this.firstTokenAtMs === null ? null : (this.firstTokenAtMs - startedAtMs) / 1_000,
    });
    span.set({ 'http.response.status_code': status });
    if (status >= 500 || outcome === 'upstream_failed' || outcome === 'timeout') span.fail(outcome);
    span.end();
  }
}

/** How a request ended that was never relayed. */
function outcomeOf(status: number): string {
  if (status === CLIENT_CLOSED_STATUS) return 'client_closed';
  return status < 400 ? 'completed' : 'refused';
}

class Attempt {
  readonly span: Span;
  private readonly startedAtMs = performance.now();
  private firstByteSeconds: number | null = null;

  constructor(
    private readonly deployment: AttemptedDeployment,
    request: Span,
  ) {
    this.span = request === NO_SPAN ? NO_SPAN : request.child('upstream', spanOptions(deployment));
  }

  firstByte(): void {
    this.firstByteSeconds ??= (performance.now() - this.startedAtMs) / 1_000;
  }

  end(metrics: GatewayMetrics, result: string): void {
    metrics.attempted(this.deployment.name, result, this.firstByteSeconds);
    if (result !== 'answered') this.span.fail(result);
    this.span.end();
  }
}

function spanOptions({ id, origin, upstreamModel }: AttemptedDeployment): {
  readonly kind: 'client';
  readonly attributes: Readonly<Record<string, string>>;
} {
  return {
    kind: 'client',
    attributes: {
      'http.request.method': 'POST',
      'server.address': new URL(origin).host,
      'gen_ai.request.model': upstreamModel,
      'tollgate.deployment_id': id,
    },
  };
}
