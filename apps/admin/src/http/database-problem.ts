import { QueryFailedError } from 'typeorm';
import { invalidField, Problem, type ProblemCode } from './problem.js';

/**
 * The constraints that callers can run into, and what they are told. Where a service cannot decide without a race,
 * the constraint decides.
 */
const PROBLEM_BY_CONSTRAINT: Readonly<Record<string, { code: ProblemCode; detail: string }>> = {
  account_external_id_key: {
    code: 'external_id_taken',
    detail: 'Another account has this external id.',
  },
  account_never_below_floor: {
    code: 'would_break_floor',
    detail: 'The balance would fall below its floor.',
  },
  api_key_external_id_key: {
    code: 'external_id_taken',
    detail: 'Another API key has this external id.',
  },
  deployment_external_id_key: {
    code: 'external_id_taken',
    detail: 'Another deployment has this external id.',
  },
  deployment_name_key: { code: 'name_taken', detail: 'Another deployment has this name.' },
  model_pkey: { code: 'name_taken', detail: 'Another model has this id.' },
  operator_token_active_name_key: {
    code: 'name_taken',
    detail: 'Another active operator token has this name.',
  },
  price_effective_once: {
    code: 'price_taken',
    detail: 'This model and plan already has a price that begins at this time; wait or choose another.',
  },
};

/** References that a caller may get wrong between the look and the write: the field that names what is gone. */
const FIELD_BY_REFERENCE: Readonly<Record<string, string>> = {
  deployment_model_model_fkey: '/models',
  price_model_fkey: '/model',
};

/** The database is starting, stopping, full, or took too long: the same request may succeed later. */
const UNAVAILABLE_CODES = new Set(['55P03', '57P01', '57P02', '57P03', '40001', '40P01', '53300']);
/** SQLSTATE of a statement that its time-out ended. */
const QUERY_CANCELED = '57014';
const TIMEOUT_DETAIL =
  'The database did not finish in the time that a request has. Nothing was changed. Ask for less, with from and to ' +
  'closer together or a filter for one account, key, model or deployment; or try again later.';
/** Connections that break carry no SQLSTATE but the system's code or none at all. */
const CONNECTION_FAILURE =
  /ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOENT|EAI_AGAIN|ENOTFOUND|terminated|timeout exceeded when trying to connect/;
const RETRY_AFTER_S = '5';

/** The problem that a failed query stands for, or null if it stands for a fault of ours. */
export function databaseProblem(thrown: unknown): Problem | null {
  const { code, constraint } = databaseErrorOf(thrown);
  const refused = PROBLEM_BY_CONSTRAINT[constraint];
  if (refused !== undefined) return new Problem(refused.code, refused.detail, { cause: thrown });
  const field = FIELD_BY_REFERENCE[constraint];
  if (field !== undefined) return invalidField(field, 'names a model that does not exist');
  if (code === QUERY_CANCELED) {
    return new Problem('query_timeout', TIMEOUT_DETAIL, {
      cause: thrown,
      headers: { 'retry-after': RETRY_AFTER_S },
    });
  }
  if (!UNAVAILABLE_CODES.has(code) && !isConnectionFailure(thrown)) return null;
  return new Problem('database_unavailable', 'The database did not answer. Nothing was changed.', {
    cause: thrown,
    headers: { 'retry-after': RETRY_AFTER_S },
  });
}

function databaseErrorOf(thrown: unknown): { code: string; constraint: string } {
  const cause: unknown = thrown instanceof QueryFailedError ? thrown.driverError : thrown;
  return { code: textField(cause, 'code'), constraint: textField(cause, 'constraint') };
}

function textField(holder: unknown, name: string): string {
  if (typeof holder !== 'object' || holder === null) return '';
  const value: unknown = Reflect.get(holder, name);
  return typeof value === 'string' ? value : '';
}

function isConnectionFailure(thrown: unknown): boolean {
  return thrown instanceof Error && CONNECTION_FAILURE.test(`${textField(thrown, 'code')} ${thrown.message}`);
}
