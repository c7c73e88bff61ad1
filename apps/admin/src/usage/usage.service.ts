import { Injectable } from '@nestjs/common';
import { requestIdToWire } from '@tollgate/contracts';
import { UsageRecordEntity } from '@tollgate/persistence';
import { formatAmount } from '@tollgate/pricing';
import { DataSource, type SelectQueryBuilder } from 'typeorm';
import { PageReader, type Page } from '../http/page.js';
import { notFound } from '../http/problem.js';
import { lowestRequestId, requestIdTime } from './request-id-time.js';
import type { ListUsage, UsageView } from './usage.schema.js';

/** A request that was swept and whose true usage turned up has two records: the true one is the usage. */
const TRUE_RECORD = `(NOT usage.swept OR NOT EXISTS (SELECT FROM tollgate.usage_record AS settled
  WHERE settled.request_id = usage.request_id AND NOT settled.swept))`;

@Injectable()
export class UsageService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly pages: PageReader,
  ) {}

  async read(requestId: string): Promise<UsageView> {
    const record = await this.usageQuery().andWhere('usage.request_id = :requestId', { requestId }).getOne();
    if (record === null) throw notFound('usage record');
    return usageView(record);
  }

  async list({ limit, cursor, from, to, ...filters }: ListUsage): Promise<Page<UsageView>> {
    const query = this.usageQuery();
    const { accountId, apiKeyId, model, outcome } = filters;
    if (accountId !== undefined) query.andWhere('usage.account_id = :accountId', { accountId });
    if (apiKeyId !== undefined) query.andWhere('usage.api_key_id = :apiKeyId', { apiKeyId });
    if (model !== undefined) query.andWhere('usage.model = :model', { model });
    if (outcome !== undefined) query.andWhere('usage.outcome = :outcome', { outcome });
    // The time of a request stands in its id, which is what the table is partitioned by.
    if (from !== undefined) query.andWhere('usage.request_id >= :first', { first: lowestRequestId(from) });
    if (to !== undefined) query.andWhere('usage.request_id < :end', { end: lowestRequestId(to) });
    return this.pages.read(
      { limit, cursor },
      {
        name: 'usage',
        query,
        newestFirst: ['usage.requestId'],
        after: 'usage.request_id < :position',
        positionOf: (record) => record.requestId,
        toItem: usageView,
      },
    );
  }

  private usageQuery(): SelectQueryBuilder<UsageRecordEntity> {
    return this.dataSource.manager.createQueryBuilder(UsageRecordEntity, 'usage').where(TRUE_RECORD);
  }
}

function usageView(record: UsageRecordEntity): UsageView {
  const { outcome, usageSource, units, priceId, model, upstreamModel } = record;
  const { deploymentId, apiKeyId, accountId, attempts, firstByteMs, totalMs } = record;
  return {
    requestId: requestIdToWire(record.requestId),
    outcome,
    usageSource,
    units,
    cost: formatAmount(record.cost),
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
