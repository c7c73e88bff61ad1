import { TransferEntity, UsageRecordEntity, lowestRequestId } from '@tollgate/persistence';
import type { EntityManager, SelectQueryBuilder } from 'typeorm';
import type { UsageFilters } from './usage.schema.js';

/** A request that was swept and whose true usage turned up has two records: the true one is the usage. */
const TRUE_RECORD = `(NOT usage.swept OR NOT EXISTS (SELECT FROM tollgate.usage_record AS settled
  WHERE settled.request_id = usage.request_id AND NOT settled.swept))`;

/**
 * Usage records as `usage`, each with the transfer of what its account could not pay, if there is one, as `absorbed`.
 * The time of a request stands in its id, which is what the table is partitioned by.
 */
export function usageQuery(
  manager: EntityManager,
  filters: UsageFilters,
): SelectQueryBuilder<UsageRecordEntity> {
  const { requestId, accountId, apiKeyId, model, deploymentId, outcome, usageSource, minCost } = filters;
  const first = filters.from === undefined ? undefined : lowestRequestId(filters.from);
  const end = filters.to === undefined ? undefined : lowestRequestId(filters.to);
  const query = manager
    .createQueryBuilder(UsageRecordEntity, 'usage')
    .leftJoin(TransferEntity, 'absorbed', `absorbed.kind = 'absorbed' AND absorbed.ref_id = usage.request_id`)
    .where(TRUE_RECORD);
  if (first !== undefined) query.andWhere('usage.request_id >= :first', { first });
  if (end !== undefined) query.andWhere('usage.request_id < :end', { end });
  if (requestId !== undefined) query.andWhere('usage.request_id = :requestId', { requestId });
  if (accountId !== undefined) query.andWhere('usage.account_id = :accountId', { accountId });
  if (apiKeyId !== undefined) query.andWhere('usage.api_key_id = :apiKeyId', { apiKeyId });
  if (model !== undefined) query.andWhere('usage.model = :model', { model });
  if (deploymentId !== undefined) query.andWhere('usage.deployment_id = :deploymentId', { deploymentId });
  if (outcome !== undefined) query.andWhere('usage.outcome = :outcome', { outcome });
  if (usageSource !== undefined) query.andWhere('usage.usage_source = :usageSource', { usageSource });
  if (minCost !== undefined) query.andWhere('usage.cost >= :minCost', { minCost: minCost.toString() });
  return query;
}
