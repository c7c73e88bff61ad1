import { RequestProblem, errorEnvelope, type ErrorEnvelope } from '@tollgate/openai';

/** A request that the demo upstream refuses, with its status and OpenAI's error object. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly status: number;
  readonly body: ErrorEnvelope;

  constructor(refusal: {
    status: number;
    message: string;
    code?: string | null;
    param?: string | null;
    type?: string;
  }) {
    super(refusal.message);
    const { status, message, code = null, param = null, type = 'invalid_request_error' } = refusal;
    this.status = status;
    this.body = errorEnvelope({ message, type, param, code });
  }
}

/** Turns whatever went wrong into an answer; what nobody foresaw says nothing about itself. */
export function toRequestError(error: unknown): RequestError {
  if (error instanceof RequestError) return error;
  if (error instanceof RequestProblem) {
    return new RequestError({ status: 400, message: error.message, param: error.param, code: error.code });
  }
  return new RequestError({
    status: 500,
    message: 'The server had an error while processing your request.',
    type: 'server_error',
    code: 'internal_error',
  });
}
