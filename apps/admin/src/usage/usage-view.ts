import { requestIdToWire } from '@tollgate/contracts';
import { requestIdTime, type UsageRecordEntity } from '@tollgate/persistence';
import { UNIT_KINDS, formatAmount } from '@tollgate/pricing';
import type { ExportShape } from '../http/export-format.js';
import type { UsageView } from './usage.schema.js';

/** What of a record operators see, with the part of its cost that was absorbed. */
export type ShownUsage = Pick<
  UsageRecordEntity,
  | 'requestId'
  | 'outcome'
  | 'usageSource'
  | 'units'
  | 'cost'
  | 'priceId'
  | 'model'
  | 'upstreamModel'
  | 'deploymentId'
  | 'apiKeyId'
  | 'accountId'
  | 'attempts'
  | 'firstByteMs'
  | 'totalMs'
>;

/** One request as operators see it. @param absorbedNano what of the cost the account could not pay. */
export function usageView(record: ShownUsage, absorbedNano: bigint): UsageView {
  const { outcome, usageSource, units, cost, priceId, model, upstreamModel } = record;
  const { deploymentId, apiKeyId, accountId, attempts, firstByteMs, totalMs } = record;
  return {
    requestId: requestIdToWire(record.requestId),
    outcome,
    usageSource,
    units,
    cost: formatAmount(cost),
    charged: formatAmount(cost - absorbedNano),
    absorbed: formatAmount(absorbedNano),
    priceId,
    model,
    upstreamModel,
    deploymentId,
    apiKeyId,
    accountId,
    attempts,
    timings: { firstByteMs, totalMs },
    createdAt: requestIdTime(record.requestId).toISOString(),
  };
}

/** Usage as a table: one column for each kind of units. */
export const USAGE_SHAPE: ExportShape<UsageView> = {
  columns: [
    'requestId',
    'createdAt',
    'accountId',
    'apiKeyId',
    'model',
    'upstreamModel',
    'deploymentId',
    'outcome',
    'usageSource',
    ...UNIT_KINDS,
    'cost',
    'charged',
    'absorbed',
    'priceId',
    'attempts',
    'firstByteMs',
    'totalMs',
  ],
  toCells: (usage) => [
    usage.requestId,
    usage.createdAt,
    usage.accountId,
    usage.apiKeyId,
    usage.model,
    usage.upstreamModel,
    usage.deploymentId,
    usage.outcome,
    usage.usageSource,
    ...UNIT_KINDS.map((kind) => usage.units[kind] ?? 0),
    usage.cost,
    usage.charged,
    usage.absorbed,
    usage.priceId,
    usage.attempts,
    usage.timings.firstByteMs,
    usage.timings.totalMs,
  ],
};
