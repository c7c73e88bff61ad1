import type { IncomingHttpHeaders } from 'node:http';
import { SseEventTooLargeError } from '@tollgate/openai';
import {
  FailedFinishError,
  NoAnswerError,
  UpstreamAddressError,
  UpstreamStreamError,
  brokenAnswer,
  classifyFailure,
  type UpstreamFailure,
} from '@tollgate/providers';
import { errors } from 'undici';
import { GatewayError, type UpstreamRefusal } from '../relay/gateway-errors.js';
import type { RequestPlan } from '../relay/request-plan.js';
import { UpstreamAbortedError } from './upstream-response.js';

/** An attempt's failure that came with no status: there was no answer, or none that could be read to its end. */
type Unanswered = { readonly [Kind in 'timeout' | 'broken' | 'credential']: UnansweredAs<Kind> }[
  'timeout' | 'broken' | 'credential'];

interface UnansweredAs<Kind> {
  readonly kind: Kind;
  readonly message: string;
}

/**
 * One attempt ended without an answer that the client could have. The upstream's own words are in `failure` alone: they may
 * quote a prompt or a key, and an error's message goes into logs.
 */
export class AttemptFailedError extends Error {
  override readonly name = 'AttemptFailedError';

  constructor(
    readonly failure: UpstreamFailure | Unanswered,
    cause?: unknown,
    /** When the upstream wants to be asked again; null where it does not say. */
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(summaryOf(failure), { cause });
  }
}

function summaryOf(failure: UpstreamFailure | Unanswered): string {
  return 'status' in failure
    ? `the upstream answered ${String(failure.status)} (${failure.kind})`
    : `the upstream did not answer (${failure.kind})`;
}

/** An attempt's failure, from an upstream's refusal. */
export function refused(
  status: number,
  bodyText: string,
  headers: IncomingHttpHeaders = {},
): AttemptFailedError {
  return new AttemptFailedError(classifyFailure(status, bodyText), undefined, retryAfter(headers));
}

/** An attempt's failure, from an answer with a success status that is none. */
export function unusable(status: number, bodyText: string): AttemptFailedError {
  return new AttemptFailedError({ ...brokenAnswer(bodyText), status });
}

/** Of two failures, the one to tell: the later, but of two busy deployments the one that is ready sooner. */
export function tellingFailure(
  earlier: AttemptFailedError | null,
  later: AttemptFailedError,
): AttemptFailedError {
  const areBusy = earlier?.failure.kind === 'busy' && later.failure.kind === 'busy';
  if (earlier === null || !areBusy || earlier.retryAfterSeconds === null) return later;
  return earlier.retryAfterSeconds <= (later.retryAfterSeconds ?? Number.POSITIVE_INFINITY) ? earlier : later;
}

/** Clients do not honour more than a minute, and less than a second is none. */
const RETRY_AFTER_MAX_SECONDS = 60;

function retryAfter(headers: IncomingHttpHeaders): number | null {
  const seconds = Math.ceil(Number(headers['retry-after'] ?? Number.NaN));
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 1), RETRY_AFTER_MAX_SECONDS) : null;
}

/**
 * An attempt's failure, from whatever was thrown before anything was delivered.
 * Errors that are no failure of the upstream are given back as they are.
 */
export function asAttemptFailure(error: unknown): unknown {
  if (error instanceof AttemptFailedError) return error;
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError) {
    return new AttemptFailedError({ kind: 'timeout', message: error.message }, error);
  }
  if (error instanceof UpstreamAddressError) {
    // The operator has to mend it, as with a credential that is refused: no other try will get further.
    return new AttemptFailedError({ kind: 'credential', message: error.message }, error);
  }
  const isUpstreams =
    error instanceof errors.UndiciError ||
    error instanceof UpstreamAbortedError ||
    error instanceof NoAnswerError ||
    error instanceof UpstreamStreamError ||
    error instanceof SseEventTooLargeError ||
    error instanceof FailedFinishError ||
    isSystemError(error);
  if (!isUpstreams) return error;
  return new AttemptFailedError({ kind: 'broken', message: error.message }, error);
}

/** What Node throws for a system call that failed. */
function isSystemError(error: unknown): error is Error {
  return typeof error === 'object' && error !== null && 'syscall' in error && 'code' in error;
}

const HOPELESS_AFTER_MS = 60_000;

/** What the caller gets when every attempt failed: the last one's kind decides. */
export function toGatewayError(failed: AttemptFailedError, plan: RequestPlan): GatewayError {
  const { failure } = failed;
  const { model, stream } = plan.request;
  const options = { cause: failed };
  if (failure.kind === 'timeout') {
    // Whoever has waited so long for a plain answer would wait as long again for nothing.
    const isHopeless = !stream && performance.now() - plan.startedAtMs > HOPELESS_AFTER_MS;
    const headers: Record<string, string> = isHopeless ? { 'x-should-retry': 'false' } : {};
    return new GatewayError('upstream_timeout', { model }, { ...options, headers });
  }
  if (failure.kind === 'credential') return new GatewayError('upstream_unavailable', { model }, options);
  if (failure.kind === 'broken') return new GatewayError('upstream_error', { model }, options);
  if (failure.kind === 'busy') {
    const { retryAfterSeconds } = failed;
    const headers: Record<string, string> =
      retryAfterSeconds === null ? {} : { 'retry-after': String(retryAfterSeconds) };
    const entry = failure.status === 429 ? 'upstream_busy' : 'server_is_overloaded';
    return new GatewayError(entry, { model }, { ...options, headers });
  }
  const refusal: UpstreamRefusal = { status: failure.status, code: failure.code, param: failure.param };
  const message =
    failure.message === ''
      ? `The provider refused the request with status ${String(failure.status)}.`
      : failure.message;
  return new GatewayError('upstream_refused', { message }, { ...options, refusal });
}
