import { UNIT_KINDS, UNITS_MAX, type UnitKind } from '@tollgate/pricing';
import { z } from 'zod';

/** How a request ended, from the caller's side. */
export const OUTCOMES = ['completed', 'client_closed', 'upstream_failed', 'cut_off', 'timeout'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Where the units come from: the provider's own count, our estimate, a count cut short, or nothing was delivered. */
export const USAGE_SOURCES = ['provider', 'estimated', 'partial', 'none'] as const;
export type UsageSource = (typeof USAGE_SOURCES)[number];

const count = z.number().int().min(0).max(UNITS_MAX);
const milliseconds = z.number().int().min(0);
// fromEntries forgets which keys it was given.
const unitShape = Object.fromEntries(UNIT_KINDS.map((kind) => [kind, count.optional()])) as Record<
  UnitKind,
  z.ZodOptional<typeof count>
>;

/**
 * One request as the gateway metered it: exactly one for each request that got its hold, failed ones too.
 * Amounts are decimal strings of nano-credits, because JSON has no bigint.
 */
export const usageEventSchema = z.strictObject({
  requestId: z.uuid(),
  accountId: z.uuid(),
  apiKeyId: z.uuid(),
  model: z.string().min(1).max(256),
  upstreamModel: z.string().max(256),
  deploymentId: z.uuid().nullable(),
  /** The price pinned at admission; billing reckons the cost again from it. */
  priceId: z.uuid(),
  multiplierPpm: z.number().int().min(0),
  units: z.strictObject(unitShape),
  /** False where policy makes the request free, whatever it used. */
  billable: z.boolean(),
  costNano: z.string().regex(/^\d{1,19}$/),
  usageSource: z.enum(USAGE_SOURCES),
  outcome: z.enum(OUTCOMES),
  attempts: z.number().int().min(0).max(1_000),
  firstByteMs: milliseconds.nullable(),
  totalMs: milliseconds,
  finishedAt: z.iso.datetime(),
  /** The escrow that the request's hold drew on last; absent: its own hold in Postgres only. */
  escrowId: z.uuid().optional(),
  /** What the request would have been had it ended there: it counts until the true event comes, which always wins. */
  swept: z.literal(true).optional(),
});

export type UsageEvent = z.infer<typeof usageEventSchema>;
