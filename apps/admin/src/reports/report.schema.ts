import { OUTCOMES, USAGE_SOURCES } from '@tollgate/contracts';
import { UNIT_KINDS } from '@tollgate/pricing';
import { z } from 'zod';
import { idField, instantField } from '../http/fields.js';
import { usageFilters } from '../usage/usage.schema.js';

export const USAGE_GROUPS = ['account', 'key', 'model', 'deployment', 'day', 'hour'] as const;
export const REVENUE_GROUPS = ['day', 'month', 'account'] as const;

export type UsageGroup = (typeof USAGE_GROUPS)[number];
export type RevenueGroup = (typeof REVENUE_GROUPS)[number];

const GROUPS_MAX = 2;
const GROUPS_MESSAGE = `must be one or two of ${USAGE_GROUPS.join(', ')}, with a comma between`;

/** `day,model`: no more than two, each once. */
const usageGroupsField = z
  .string()
  .default('day')
  .transform((text, context): UsageGroup[] => {
    const groups = z.array(z.enum(USAGE_GROUPS)).min(1).max(GROUPS_MAX).safeParse(text.split(','));
    if (groups.success && new Set(groups.data).size === groups.data.length) return groups.data;
    context.addIssue({ code: 'custom', message: GROUPS_MESSAGE, input: text });
    return z.NEVER;
  });

export const usageReportParameters = z.strictObject({ groupBy: usageGroupsField, ...usageFilters });

export const revenueReportParameters = z.strictObject({
  groupBy: z.enum(REVENUE_GROUPS).default('day'),
  accountId: idField.optional(),
  from: instantField.optional(),
  to: instantField.optional(),
});

/** A sum of amounts: it may be above what one amount can be. */
const sumText = z.string().meta({
  id: 'Sum',
  description: 'A sum of credits as a decimal string, exact. Never a JSON number.',
  pattern: String.raw`^-?\d+(\.\d{1,9})?$`,
  examples: ['1234567.000000001'],
});

/** A sum of counts: it may be above what a JSON number holds exactly. */
const countText = z.string().regex(/^\d+$/);

const usageSums = {
  requests: z.int(),
  outcomes: z.record(z.enum(OUTCOMES), z.int()),
  usageSources: z.record(z.enum(USAGE_SOURCES), z.int()),
  units: z.record(z.enum(UNIT_KINDS), countText),
  cost: sumText,
  charged: sumText,
  absorbed: sumText,
  averageFirstByteMs: z.int().nullable(),
  averageTotalMs: z.int().nullable(),
};

const usageTotalsSchema = z.strictObject(usageSums);

const usageReportRowSchema = z.strictObject({
  accountId: z.uuid().optional(),
  accountName: z.string().nullable().optional(),
  apiKeyId: z.uuid().optional(),
  apiKeyName: z.string().nullable().optional(),
  model: z.string().optional(),
  /** Null for requests that reached no deployment. */
  deploymentId: z.uuid().nullable().optional(),
  deploymentName: z.string().nullable().optional(),
  day: z.iso.date().optional(),
  hour: z.iso.datetime().optional(),
  ...usageSums,
});

export const usageReportSchema = z
  .strictObject({
    groupBy: z.array(z.enum(USAGE_GROUPS)),
    from: z.iso.datetime(),
    to: z.iso.datetime(),
    data: z.array(usageReportRowSchema),
    totals: usageTotalsSchema,
  })
  .meta({ id: 'UsageReport' });

const revenueSums = {
  topUps: sumText,
  grants: sumText,
  /** Not above 0: they leave accounts. */
  refunds: sumText,
  adjustments: sumText,
  /** Not above 0: they leave accounts. */
  expired: sumText,
  /** What accounts paid for usage. */
  charged: sumText,
  /** What usage cost that no account could pay. */
  absorbed: sumText,
  /** The sum of posted balances at the end: what was paid or given, and is not used yet. */
  liability: sumText,
};

const revenueTotalsSchema = z.strictObject(revenueSums);

const revenueRowSchema = z.strictObject({
  day: z.iso.date().optional(),
  month: z
    .string()
    .regex(/^\d{4}-\d{2}$/)
    .optional(),
  accountId: z.uuid().optional(),
  accountName: z.string().optional(),
  ...revenueSums,
});

export const revenueReportSchema = z
  .strictObject({
    groupBy: z.enum(REVENUE_GROUPS),
    from: z.iso.datetime(),
    to: z.iso.datetime(),
    /** The liability at `from`. */
    opening: sumText,
    data: z.array(revenueRowSchema),
    totals: revenueTotalsSchema,
  })
  .meta({ id: 'RevenueReport' });

export type UsageReportParameters = z.infer<typeof usageReportParameters>;
export type RevenueReportParameters = z.infer<typeof revenueReportParameters>;
export type UsageTotals = z.infer<typeof usageTotalsSchema>;
export type UsageReportRow = z.infer<typeof usageReportRowSchema>;
export type UsageReport = z.infer<typeof usageReportSchema>;
export type RevenueTotals = z.infer<typeof revenueTotalsSchema>;
export type RevenueRow = z.infer<typeof revenueRowSchema>;
export type RevenueReport = z.infer<typeof revenueReportSchema>;
