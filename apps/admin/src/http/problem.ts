/** Every refusal of this API: `code → { status, title }`. Codes are part of the contract: never rename one. */
export const PROBLEMS = {
  malformed_request: { status: 400, title: 'The request cannot be read' },
  unauthorized: { status: 401, title: 'An operator token is required' },
  invalid_metrics_token: { status: 401, title: 'The metrics token is required' },
  forbidden: { status: 403, title: 'This is not allowed' },
  not_found: { status: 404, title: 'There is no such resource' },
  method_not_allowed: { status: 405, title: 'The method does not apply to this resource' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  would_break_floor: { status: 409, title: 'The balance would fall below its floor' },
  would_exceed_limit: { status: 409, title: 'The balance would exceed the largest amount' },
  name_taken: { status: 409, title: 'The name is taken' },
  external_id_taken: { status: 409, title: 'The external id is taken' },
  price_taken: { status: 409, title: 'A price of this model and plan begins at this time' },
  already_revoked: { status: 409, title: 'The secret is revoked' },
  last_full_access: { status: 409, title: 'Nobody would have full access' },
  dead_letter_resolved: { status: 409, title: 'The dead letter is resolved' },
  request_running: { status: 409, title: 'The request is still running' },
  books_wrong: { status: 409, title: 'The books of the account are wrong' },
  in_use: { status: 409, title: 'The resource is in use' },
  idempotency_key_reused: { status: 409, title: 'The Idempotency-Key belongs to another request' },
  precondition_failed: { status: 412, title: 'The resource is in another state' },
  body_too_large: { status: 413, title: 'The body is too large' },
  uri_too_long: { status: 414, title: 'The URL is too long' },
  unsupported_media_type: { status: 415, title: 'Bodies are JSON' },
  validation_failed: { status: 422, title: 'The request is not valid' },
  idempotency_key_missing: { status: 428, title: 'An Idempotency-Key is required' },
  too_many_tests: { status: 429, title: 'Too many tests run at once' },
  too_many_exports: { status: 429, title: 'Too many exports run at once' },
  headers_too_large: { status: 431, title: 'The headers are too large' },
  internal_error: { status: 500, title: 'Something went wrong' },
  query_timeout: { status: 503, title: 'The database took too long' },
  redis_unavailable: { status: 503, title: 'Redis is not available' },
  database_unavailable: { status: 503, title: 'The database is not available' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

/** One field that is wrong: a JSON Pointer (RFC 6901) into the body or into the query's parameters. */
export interface FieldError {
  readonly pointer: string;
  readonly message: string;
}

export interface ProblemOptions {
  readonly errors?: readonly FieldError[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** A refusal from the table, with what the caller should know about it. The detail never carries a secret. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly errors: readonly FieldError[] | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    readonly code: ProblemCode,
    detail: string,
    options: ProblemOptions = {},
  ) {
    super(detail, { cause: options.cause });
    this.errors = options.errors;
    this.headers = options.headers ?? {};
  }

  get status(): number {
    return PROBLEMS[this.code].status;
  }
}

/** A validation problem of exactly one field. */
export function invalidField(pointer: string, message: string): Problem {
  return new Problem('validation_failed', 'The request has a field that is not valid.', {
    errors: [{ pointer, message }],
  });
}

/** A 404 that names the kind of thing which was asked for. */
export function notFound(kind: string): Problem {
  return new Problem('not_found', `There is no such ${kind}.`);
}

export const PROBLEM_CONTENT_TYPE = 'application/problem+json; charset=utf-8';

/** The body of `application/problem+json` (RFC 9457). */
export function problemBody(problem: Problem, requestId: string): string {
  const { status, title } = PROBLEMS[problem.code];
  return JSON.stringify({
    type: `urn:tollgate:problem:${problem.code}`,
    title,
    status,
    detail: problem.message,
    code: problem.code,
    requestId,
    errors: problem.errors,
  });
}
