import { parseRequestId } from '@tollgate/contracts';
import { z } from 'zod';
import { isKnownYear, textParameter } from './query-parameters.js';

const PAGE_SIZE_MAX = 200;
const PAGE_SIZE_DEFAULT = '50';
const MODEL_LENGTH_MAX = 256;
const LIMIT_PROBLEM = `expected a whole number from 1 to ${String(PAGE_SIZE_MAX)}`;
const INSTANT_PROBLEM =
  'expected a time in UTC such as 2026-01-31T12:00:00Z, or a day such as 2026-01-31, between the years 2000 and 2200';

const INSTANT = z.union([z.iso.date(), z.iso.datetime()]);

const limit = textParameter
  .regex(/^\d{1,3}$/, LIMIT_PROBLEM)
  .transform(Number)
  .refine((count) => count >= 1 && count <= PAGE_SIZE_MAX, LIMIT_PROBLEM);

const model = textParameter
  .max(MODEL_LENGTH_MAX, `it is longer than ${String(MODEL_LENGTH_MAX)} characters`)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'it has characters that no name of a model has');

const instant = textParameter
  .refine((text) => INSTANT.safeParse(text).success, INSTANT_PROBLEM)
  .transform((text) => new Date(text))
  .refine(isKnownYear, INSTANT_PROBLEM);

const cursor = textParameter.transform((text, context) => {
  const requestId = parseRequestId(text);
  if (requestId !== null) return requestId;
  context.addIssue({ code: 'custom', message: 'it is not a cursor of this list', input: text });
  return z.NEVER;
});

/** What `GET /v1/usage` can be asked. Misspelt filters are refused: they would show too much. */
export const usageQuerySchema = z
  .strictObject({
    limit: limit.prefault(PAGE_SIZE_DEFAULT),
    cursor: cursor.optional(),
    model: model.optional(),
    from: instant.optional(),
    to: instant.optional(),
  })
  .refine(({ from, to }) => from === undefined || to === undefined || from <= to, {
    path: ['from'],
    message: "it is after 'to'",
  });

export type UsageQuery = z.infer<typeof usageQuerySchema>;

const ANSWER_ID = /^(?:chatcmpl|cmpl)-([0-9a-f]{32})$/;

/** The request that an id means: `req_…`, the UUID, or the id of the answer; null for anything else. */
export function readGenerationId(text: string): string | null {
  return parseRequestId(text.replace(ANSWER_ID, 'req_$1'));
}
