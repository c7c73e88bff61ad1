import { OUTCOMES, USAGE_SOURCES, parseRequestId } from '@tollgate/contracts';
import { UNIT_KINDS } from '@tollgate/pricing';
import { z } from 'zod';
import { idField, instantField, modelIdField } from '../http/fields.js';
import { pageParameters } from '../http/page.js';

/** A request id as callers see it (`req_` and 32 digits) or as the UUID that it is; whatever is neither names nothing. */
export const requestIdParameters = z.object({
  requestId: z.string().transform((text, context) => {
    const requestId = parseRequestId(text);
    if (requestId !== null) return requestId;
    context.addIssue({ code: 'custom', message: 'is not a request id', input: text });
    return z.NEVER;
  }),
});

export const listUsageSchema = z.strictObject({
  ...pageParameters,
  accountId: idField.optional(),
  apiKeyId: idField.optional(),
  model: modelIdField.optional(),
  outcome: z.enum(OUTCOMES).optional(),
  from: instantField.optional(),
  to: instantField.optional(),
});

export const usageSchema = z.strictObject({
  requestId: z.string(),
  outcome: z.enum(OUTCOMES),
  usageSource: z.enum(USAGE_SOURCES),
  units: z.partialRecord(z.enum(UNIT_KINDS), z.int()),
  cost: z.string(),
  priceId: z.uuid(),
  model: z.string(),
  upstreamModel: z.string(),
  deploymentId: z.uuid().nullable(),
  apiKeyId: z.uuid(),
  accountId: z.uuid(),
  attempts: z.int(),
  timings: z.strictObject({ firstByteMs: z.int().nullable(), totalMs: z.int() }),
  /** When the request came in. */
  createdAt: z.iso.datetime(),
});

export type ListUsage = z.infer<typeof listUsageSchema>;
export type UsageView = z.infer<typeof usageSchema>;
