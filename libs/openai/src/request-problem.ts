import { jsonTypeName } from './json.js';

/** A parameter that is missing or wrong: answered with 400 and `invalid_request_error`. */
export class RequestProblem extends Error {
  override readonly name = 'RequestProblem';
  readonly param: string | null;
  readonly code: string | null;

  constructor(problem: { message: string; param: string | null; code: string | null }) {
    super(problem.message);
    this.param = problem.param;
    this.code = problem.code;
  }
}

/**
 * Writes what a client sent as JSON again. Reading takes any depth, writing does not.
 * @throws RequestProblem for a value that is nested too deeply.
 */
export function rewriteJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const message = 'Invalid body: it is nested too deeply.';
    throw new RequestProblem({ message, param: null, code: 'invalid_value' });
  }
}

/** A required parameter is absent. */
export function missingParameter(param: string): RequestProblem {
  return new RequestProblem({
    message: `Missing required parameter: '${param}'.`,
    param,
    code: 'missing_required_parameter',
  });
}

/** A parameter has another type than `expected` ("an array"). */
export function invalidType(param: string, expected: string, got: unknown): RequestProblem {
  return new RequestProblem({
    message: `Invalid type for '${param}': expected ${expected}, but got ${jsonTypeName(got)} instead.`,
    param,
    code: 'invalid_type',
  });
}

/** A parameter has a value that cannot be; `problem` continues the sentence. */
export function invalidValue(param: string, problem: string): RequestProblem {
  return new RequestProblem({
    message: `Invalid value for '${param}': ${problem}.`,
    param,
    code: 'invalid_value',
  });
}
