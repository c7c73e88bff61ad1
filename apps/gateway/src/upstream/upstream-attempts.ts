import {
  NoAnswerError,
  UpstreamAddressError,
  UpstreamStreamError,
  buildUpstreamRequest,
  type AnswerIdentity,
  type PlainAnswer,
  type UpstreamForm,
} from '@tollgate/providers';
import { requestIdToWire } from '@tollgate/contracts';
import type { Logger } from '@tollgate/runtime';
import type { LiveHold } from '../hold/live-hold.js';
import type { UsageMeter } from '../metering/usage-meter.js';
import type { RequestPlan } from '../relay/request-plan.js';
import type { Deployment } from '../routing/catalog.js';
import type { ObservedRequest } from '../telemetry/observed-request.js';
import { ClientClosedError, type ClientConnection } from '../http/client-connection.js';
import {
  AttemptFailedError,
  asAttemptFailure,
  refused,
  tellingFailure,
  toGatewayError,
  unusable,
} from './attempts.js';
import { AnswerStream } from './answer-stream.js';
import { ApiLackingError, UsableForms, isLackOfApi, lacksApi } from './usable-forms.js';
import type { ConnectionPools } from './connection-pools.js';
import type { RefusedUpstreams } from './refused-upstreams.js';
import { dispatchUpstream, type DispatchedAnswer } from './dispatch.js';

/** Between two chunks of an upstream's body. */
const IDLE_TIMEOUT_MS = 300_000;
/** A stream's head goes to the client with the first event, or after so long: then a failure has no status any more. */
const COMMIT_AFTER_MS = 15_000;
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
const ERROR_BYTES_MAX = 256 * 1024;

/** An upstream's answer, ready to be given to the client. */
export type OpenedAnswer =
  | { readonly kind: 'plain'; readonly form: UpstreamForm; readonly answer: PlainAnswer }
  | {
      readonly kind: 'stream';
      readonly source: AnswerStream;
      /** The first piece, under way or there. */
      readonly first: Promise<string | null>;
    };

/** The parties of one request while it is relayed. */
export interface RelayedRequest {
  readonly plan: RequestPlan;
  readonly hold: LiveHold;
  readonly meter: UsageMeter;
  readonly client: ClientConnection;
  readonly observed: ObservedRequest;
}

/** Asks deployments, one after the other, until one answers. */
export class UpstreamAttempts {
  private readonly forms = new UsableForms();

  constructor(
    private readonly pools: ConnectionPools,
    private readonly logger: Logger,
    private readonly refusedUpstreams: RefusedUpstreams,
  ) {}

  /**
   * The answer of the first deployment that gives one. None is asked twice, and none once a byte has gone to the client.
   * @throws GatewayError by the last failure's kind, at once where the fault is the caller's; ClientClosedError.
   */
  async open(relayed: RelayedRequest, deployments: readonly Deployment[]): Promise<OpenedAnswer> {
    const { plan, meter, client, observed } = relayed;
    let failed: AttemptFailedError | null = null;
    for (const deployment of deployments) {
      if (client.isClosed) break;
      meter.attempt(deployment);
      observed.attemptBegins(deployment);
      try {
        return await this.attempt(relayed, deployment);
      } catch (error) {
        const failure = asAttemptFailure(error);
        if (client.isClosed) break;
        if (!(failure instanceof AttemptFailedError)) throw failure;
        observed.attemptFailed(failure.failure.kind);
        this.logFailure(relayed, deployment, failure);
        failed = tellingFailure(failed, failure);
        if (failure.failure.kind === 'caller' && !(failure instanceof ApiLackingError)) break;
      }
    }
    if (client.isClosed || failed === null) throw new ClientClosedError('the client left');
    meter.outcome = failed.failure.kind === 'timeout' ? 'timeout' : 'upstream_failed';
    throw toGatewayError(failed, plan);
  }

  /** An upstream that lacks the API is asked in the next form that the request has; that is the same attempt. */
  private async attempt(relayed: RelayedRequest, deployment: Deployment): Promise<OpenedAnswer> {
    const { request } = relayed.plan;
    const [first, next] = this.forms.usable(deployment, request.forms);
    if (first === undefined) throw lacksApi(request);
    try {
      return await this.ask(relayed, deployment, first);
    } catch (error) {
      if (!isLackOfApi(error)) throw error;
      if (next === undefined && first.onlyFor === undefined) throw error;
      this.forms.rememberLack(deployment, first.api);
      if (next === undefined) throw lacksApi(request);
      return await this.ask(relayed, deployment, next);
    }
  }

  private async ask(
    relayed: RelayedRequest,
    deployment: Deployment,
    form: UpstreamForm,
  ): Promise<OpenedAnswer> {
    const { plan, meter, client, observed } = relayed;
    const { upstreamModel, basePath, credential } = deployment;
    const request = buildUpstreamRequest({
      path: basePath + form.path,
      body: form.body({ upstreamModel, affordableOutputTokens: affordableOutputTokens(relayed) }),
      stream: plan.request.stream,
      credential,
      clientRequestId: requestIdToWire(plan.requestId),
      betaFeatures: plan.betaFeatures,
      traceparent: deployment.forwardTraceContext ? observed.attemptTraceparent : null,
    });
    const timeouts = {
      firstByteMs: Math.min(deployment.firstByteTimeoutMs, plan.clientTimeoutMs ?? Number.POSITIVE_INFINITY),
      idleMs: IDLE_TIMEOUT_MS,
    };
    const dispatched = dispatchUpstream(this.pools, deployment.origin, { request, timeouts });
    client.whenClosed(() => dispatched.current().abort('the client left'));
    try {
      const answer = await dispatched.answer;
      meter.firstByte();
      observed.firstByte();
      return plan.request.stream ? await openStream(plan, form, answer) : await readPlain(plan, form, answer);
    } catch (error) {
      dispatched.current().abort('the attempt failed');
      throw error;
    } finally {
      meter.wasSent ||= dispatched.current().wasSent;
    }
  }

  /** What an upstream says of a refusal is not logged: it may repeat the prompt or our credential. */
  private logFailure(relayed: RelayedRequest, deployment: Deployment, failure: AttemptFailedError): void {
    const { id, origin } = deployment;
    if (failure.cause instanceof UpstreamAddressError) {
      this.refusedUpstreams.warn({ id, origin, reason: failure.cause.message });
    }
    const { kind } = failure.failure;
    this.logger.warn(
      {
        ...relayed.observed.logFields,
        deploymentId: id,
        failure: { kind, ...('status' in failure.failure && { status: failure.failure.status }) },
        cause: failure.cause,
      },
      'an attempt failed',
    );
  }
}

/** The cap to send where a plain request is held for less than it asks for: what comes back must be paid for. */
export function affordableOutputTokens(relayed: Pick<RelayedRequest, 'plan' | 'hold'>): number | null {
  const { plan, hold } = relayed;
  if (plan.request.stream || hold.coveredOutputTokens >= plan.holdBasis.outputCap) return null;
  return Math.floor(hold.coveredOutputTokens / plan.request.choices);
}

async function openStream(
  plan: RequestPlan,
  form: UpstreamForm,
  answer: DispatchedAnswer,
): Promise<OpenedAnswer> {
  const { head, response } = answer;
  if (head.status !== 200) throw refused(head.status, await response.text(ERROR_BYTES_MAX), head.headers);
  if (!String(head.headers['content-type']).startsWith('text/event-stream')) {
    throw unusable(head.status, await response.text(ERROR_BYTES_MAX));
  }
  const reader = form.readStream(identityOf(plan));
  const source = new AnswerStream(response, reader, form);
  const first = source.next();
  if ((await firstOrLate(first)) === null && !reader.sawDone) {
    throw new UpstreamStreamError('the upstream sent an empty stream');
  }
  // Whoever delivers the stream waits for it; until then its rejection is nobody's.
  first.catch(() => undefined);
  return { kind: 'stream', source, first };
}

/** The first piece, or an empty one when it is late. Rejects if the upstream fails before either. */
function firstOrLate(first: Promise<string | null>): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(resolve, COMMIT_AFTER_MS, '');
    first.then(resolve, reject).finally(() => clearTimeout(late));
  });
}

async function readPlain(
  plan: RequestPlan,
  form: UpstreamForm,
  answer: DispatchedAnswer,
): Promise<OpenedAnswer> {
  const { head, response } = answer;
  if (head.status !== 200) throw refused(head.status, await response.text(ERROR_BYTES_MAX), head.headers);
  const text = await response.text(ANSWER_BYTES_MAX);
  try {
    return { kind: 'plain', form, answer: form.readAnswer(text, identityOf(plan)) };
  } catch (error) {
    if (error instanceof NoAnswerError) throw unusable(head.status, text);
    throw error;
  }
}

function identityOf(plan: RequestPlan): AnswerIdentity {
  return {
    key: plan.requestId.replaceAll('-', ''),
    created: Math.floor(Date.now() / 1_000),
    model: plan.request.answer.model,
  };
}
