import { RequestProblem, invalidValue } from '@tollgate/openai';
import { z } from 'zod';

const INSTANT_EARLIEST_MS = Date.UTC(2000, 0, 1);
const INSTANT_LATEST_MS = Date.UTC(2200, 0, 1);
const PARAM_SHOWN_MAX = 64;

/** A query as Fastify parses it. */
export type ReceivedQuery = Readonly<Record<string, unknown>>;

/** One value of a query parameter. */
export const textParameter = z.string('it is given more than once');

/** Whether an instant lies in the years that anything here can be of: request ids hold no others. */
export function isKnownYear(instant: Date): boolean {
  return instant.getTime() >= INSTANT_EARLIEST_MS && instant.getTime() < INSTANT_LATEST_MS;
}

/**
 * Reads a query by its schema. A parameter that is empty counts as absent.
 * @throws RequestProblem that names the first parameter which does not fit.
 */
export function readQuery<T>(schema: z.ZodType<T>, query: ReceivedQuery): T {
  const given = Object.entries(query).filter(([, value]) => value !== '');
  const parsed = schema.safeParse(Object.fromEntries(given));
  if (parsed.success) return parsed.data;
  throw toProblem(parsed.error.issues[0]);
}

function toProblem(issue: z.core.$ZodIssue | undefined): RequestProblem {
  if (issue?.code === 'unrecognized_keys') {
    const param = (issue.keys[0] ?? '').slice(0, PARAM_SHOWN_MAX);
    return new RequestProblem({
      message: `Unknown parameter: '${param}'.`,
      param,
      code: 'unknown_parameter',
    });
  }
  return invalidValue(String(issue?.path[0] ?? 'query'), issue?.message ?? 'it cannot be read');
}
