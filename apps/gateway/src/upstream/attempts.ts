import {
  FailedFinishError,
  NoAnswerError,
  UpstreamStreamError,
  brokenAnswer,
  classifyFailure,
  type UpstreamFailure,
} from '@tollgate/providers';
import { errors } from 'undici';
import { GatewayError, type UpstreamRefusal } from '../relay/gateway-errors.js';
import { UpstreamAddressError } from './connection-pools.js';
import { UpstreamAbortedError } from './upstream-response.js';

/** One attempt ended without an answer that the client could have. */
export class AttemptFailedError extends Error {
  override readonly name = 'AttemptFailedError';

  constructor(
    readonly failure: UpstreamFailure | { readonly kind: 'timeout'; readonly message: string },
    cause?: unknown,
  ) {
    super(failure.message, { cause });
  }
}

/** An attempt's failure, from an upstream's refusal. */
export function refused(status: number, bodyText: string): AttemptFailedError {
  return new AttemptFailedError(classifyFailure(status, bodyText));
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
  const isUpstreams =
    error instanceof errors.UndiciError ||
    error instanceof UpstreamAbortedError ||
    error instanceof NoAnswerError ||
    error instanceof UpstreamStreamError ||
    error instanceof FailedFinishError ||
    error instanceof UpstreamAddressError ||
    isSystemError(error);
  if (!isUpstreams) return error;
  return new AttemptFailedError({ ...brokenAnswer(''), message: error.message }, error);
}

/** What Node throws for a system call that failed. */
function isSystemError(error: unknown): error is Error {
  return typeof error === 'object' && error !== null && 'syscall' in error && 'code' in error;
}

/** What the caller gets when every attempt failed: the last one's kind decides. */
export function toGatewayError(failed: AttemptFailedError, model: string): GatewayError {
  const { failure } = failed;
  const options = { cause: failed };
  if (failure.kind === 'timeout') return new GatewayError('upstream_timeout', { model }, options);
  if (failure.kind === 'credential') return new GatewayError('upstream_unavailable', { model }, options);
  if (failure.kind === 'broken') return new GatewayError('upstream_error', { model }, options);
  if (failure.kind === 'busy') {
    return new GatewayError(
      failure.status === 429 ? 'upstream_busy' : 'server_is_overloaded',
      { model },
      options,
    );
  }
  const refusal: UpstreamRefusal = { status: failure.status, code: failure.code, param: failure.param };
  const message =
    failure.message === ''
      ? `The provider refused the request with status ${String(failure.status)}.`
      : failure.message;
  return new GatewayError('upstream_refused', { message }, { ...options, refusal });
}
