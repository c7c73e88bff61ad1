import { OUTCOMES, USAGE_SOURCES } from '@tollgate/contracts';
import { UNIT_KINDS } from '@tollgate/pricing';
import { z } from 'zod';
import { exportParameters } from '../http/export-format.js';
import {
  amountField,
  amountText,
  idField,
  instantField,
  modelIdField,
  requestIdField,
} from '../http/fields.js';
import { pageParameters } from '../http/page.js';

/** Whatever is no request id names nothing. */
export const requestIdParameters = z.object({ requestId: requestIdField });

/** What lists, exports and reports of usage can be narrowed by. */
export const usageFilters = {
  requestId: requestIdField.optional(),
  accountId: idField.optional(),
  apiKeyId: idField.optional(),
  model: modelIdField.optional(),
  deploymentId: idField.optional(),
  outcome: z.enum(OUTCOMES).optional(),
  usageSource: z.enum(USAGE_SOURCES).optional(),
  /** Only requests that cost so much or more. */
  minCost: amountField.optional(),
  from: instantField.optional(),
  to: instantField.optional(),
};

export const listUsageSchema = z.strictObject({ ...pageParameters, ...usageFilters });

export const exportUsageSchema = z.strictObject({ ...exportParameters, ...usageFilters });

export const usageSchema = z
  .strictObject({
    requestId: z.string(),
    outcome: z.enum(OUTCOMES),
    usageSource: z.enum(USAGE_SOURCES),
    units: z.partialRecord(z.enum(UNIT_KINDS), z.int()),
    cost: amountText,
    /** What of the cost the account paid. */
    charged: amountText,
    /** What of the cost it could not pay. */
    absorbed: amountText,
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
  })
  .meta({ id: 'Usage' });

export type UsageFilters = Omit<ListUsage, keyof typeof pageParameters>;
export type ListUsage = z.infer<typeof listUsageSchema>;
export type ExportUsage = z.infer<typeof exportUsageSchema>;
export type UsageView = z.infer<typeof usageSchema>;
