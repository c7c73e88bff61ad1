import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import type { Export } from '../http/exports.js';
import { PageReader, type Page } from '../http/page.js';
import { notFound } from '../http/problem.js';
import { usageQuery } from './usage-query.js';
import { USAGE_SHAPE, usageView, type ShownUsage } from './usage-view.js';
import type { ListUsage, UsageFilters, UsageView } from './usage.schema.js';

const rawUsageSchema = z.object({ absorbed_nano: z.string().transform(BigInt) });

/** A row of an export: as the driver reads it, amounts are text. */
type UsageColumns = Omit<ShownUsage, 'cost'> & { readonly cost: string; readonly absorbedNano: string };

const ABSORBED_NANO = 'COALESCE(absorbed.amount, 0)';

@Injectable()
export class UsageService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly pages: PageReader,
  ) {}

  async read(requestId: string): Promise<UsageView> {
    const { entities, raw } = await usageQuery(this.dataSource.manager, { requestId })
      .addSelect(ABSORBED_NANO, 'absorbed_nano')
      .getRawAndEntities<unknown>();
    const [record] = entities;
    if (record === undefined) throw notFound('usage record');
    return usageView(record, absorbedOf(raw[0]));
  }

  async list({ limit, cursor, ...filters }: ListUsage): Promise<Page<UsageView>> {
    return this.pages.read(
      { limit, cursor },
      {
        name: 'usage',
        query: usageQuery(this.dataSource.manager, filters).addSelect(ABSORBED_NANO, 'absorbed_nano'),
        newestFirst: ['usage.requestId'],
        after: 'usage.request_id < :position',
        positionOf: (record) => record.requestId,
        toItem: (record, raw) => usageView(record, absorbedOf(raw)),
      },
    );
  }

  /** All usage of a list, newest first. */
  export(filters: UsageFilters): Export<UsageColumns, UsageView> {
    const query = usageQuery(this.dataSource.manager, filters).select(ABSORBED_NANO, 'absorbedNano');
    for (const [alias, column] of Object.entries(COLUMNS)) query.addSelect(`usage.${column}`, alias);
    return {
      name: 'usage',
      query: query.orderBy('usage.request_id', 'DESC').getQueryAndParameters(),
      toItem: ({ cost, absorbedNano, ...record }) =>
        usageView({ ...record, cost: BigInt(cost) }, BigInt(absorbedNano)),
      shape: USAGE_SHAPE,
    };
  }
}

const COLUMNS: { readonly [column in keyof ShownUsage]: string } = {
  requestId: 'request_id',
  outcome: 'outcome',
  usageSource: 'usage_source',
  units: 'units',
  cost: 'cost',
  priceId: 'price_id',
  model: 'model',
  upstreamModel: 'upstream_model',
  deploymentId: 'deployment_id',
  apiKeyId: 'api_key_id',
  accountId: 'account_id',
  attempts: 'attempts',
  firstByteMs: 'first_byte_ms',
  totalMs: 'total_ms',
};

function absorbedOf(raw: unknown): bigint {
  return rawUsageSchema.parse(raw).absorbed_nano;
}
