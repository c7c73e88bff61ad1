import assert from 'node:assert/strict';
import { Injectable } from '@nestjs/common';
import { OUTCOMES, USAGE_SOURCES } from '@tollgate/contracts';
import { UNIT_KINDS, formatAmount } from '@tollgate/pricing';
import type { PoolClient } from 'pg';
import { DataSource } from 'typeorm';
import { usageQuery } from '../usage/usage-query.js';
import { ReportReads } from './report-reads.js';
import { DAY_MS, HOUR_MS, ROWS_MAX, dayOf, reportSpan, requireDays, tooManyRows } from './report-span.js';
import type {
  UsageGroup,
  UsageReport,
  UsageReportParameters,
  UsageReportRow,
  UsageTotals,
} from './report.schema.js';

const HOURLY_DAYS_MAX = 31;

/** When a request came in: the milliseconds that its UUIDv7 begins with. Postgres 17 has a function, 15 has not. */
const CAME_IN_MS = `('x' || translate(left(usage.request_id::text, 13), '-', ''))::bit(48)::bigint`;

/** What each group is by. Times are numbered from 1970 on, so that they need no time zone. */
const KEYS: Readonly<Record<UsageGroup, string>> = {
  account: 'usage.account_id',
  key: 'usage.api_key_id',
  model: 'usage.model',
  deployment: 'usage.deployment_id',
  day: `${CAME_IN_MS} / ${DAY_MS}`,
  hour: `${CAME_IN_MS} / ${HOUR_MS}`,
};

const NAMED: Partial<Record<UsageGroup, string>> = {
  account: 'tollgate.account',
  key: 'tollgate.api_key',
  deployment: 'tollgate.deployment',
};

/** A group or the total, as the driver reads it: sums are text. The counts are named by outcome, source and unit. */
type SumsRow = Readonly<Record<string, string | null>>;

/** Sums over usage records, made by Postgres in one pass with their total. */
@Injectable()
export class UsageReportService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly reads: ReportReads,
  ) {}

  /** @throws Problem 422 for a span that is too long, and for a report of too many rows. */
  async report({ groupBy, ...filters }: UsageReportParameters): Promise<UsageReport> {
    const span = reportSpan(filters);
    if (groupBy.includes('hour')) requireDays(span, HOURLY_DAYS_MAX, 'hour');
    const [sql, values] = this.sums(groupBy, { ...filters, ...span });
    return this.reads.snapshot(async (connection) => {
      const { rows } = await connection.query<SumsRow>(sql, values);
      const [total, ...groups] = rows;
      assert(total?.['is_total'] === '1', 'the total comes first and is always there');
      if (groups.length > ROWS_MAX) throw tooManyRows();
      const names = await namesOf(connection, groupBy, groups);
      return {
        groupBy,
        from: span.from.toISOString(),
        to: span.to.toISOString(),
        data: groups.map((row) => ({ ...groupOf(groupBy, row, names), ...sumsOf(row) })),
        totals: sumsOf(total),
      };
    });
  }

  private sums(
    groupBy: readonly UsageGroup[],
    filters: Omit<UsageReportParameters, 'groupBy'>,
  ): [sql: string, values: unknown[]] {
    const keys = groupBy.map((group) => KEYS[group]);
    const query = usageQuery(this.dataSource.manager, filters)
      .select(`GROUPING(${keys[0]})::text`, 'is_total')
      .addSelect('count(*)', 'requests')
      .addSelect('COALESCE(sum(usage.cost), 0)', 'cost')
      .addSelect('COALESCE(sum(absorbed.amount), 0)', 'absorbed')
      .addSelect('round(avg(usage.first_byte_ms))', 'first_byte_ms')
      .addSelect('round(avg(usage.total_ms))', 'total_ms')
      .groupBy(`GROUPING SETS ((${keys.join(', ')}), ())`);
    groupBy.forEach((group, index) => query.addSelect(`(${keys[index]})::text`, `by_${group}`));
    for (const outcome of OUTCOMES) {
      query.addSelect(`count(*) FILTER (WHERE usage.outcome = '${outcome}')`, `outcome_${outcome}`);
    }
    for (const source of USAGE_SOURCES) {
      query.addSelect(`count(*) FILTER (WHERE usage.usage_source = '${source}')`, `source_${source}`);
    }
    for (const kind of UNIT_KINDS) {
      query.addSelect(`COALESCE(sum((usage.units ->> '${kind}')::numeric), 0)`, `unit_${kind}`);
    }
    const [sql, values] = query.getQueryAndParameters();
    const times = keys.filter((_key, index) => groupBy[index] === 'day' || groupBy[index] === 'hour');
    const order = ['is_total DESC', ...times, 'sum(usage.cost) DESC', ...keys];
    return [`${sql} ORDER BY ${order.join(', ')} LIMIT ${ROWS_MAX + 2}`, values];
  }
}

type Names = ReadonlyMap<string, string>;

/** The names of what the rows are grouped by, by id. */
async function namesOf(
  connection: PoolClient,
  groupBy: readonly UsageGroup[],
  rows: readonly SumsRow[],
): Promise<Names> {
  const names = new Map<string, string>();
  for (const group of groupBy) {
    const table = NAMED[group];
    if (table === undefined) continue;
    const found = await connection.query<{ id: string; name: string }>(
      `SELECT id, name FROM ${table} WHERE id = ANY($1::uuid[])`,
      [[...new Set(rows.map((row) => row[`by_${group}`] ?? null))]],
    );
    for (const { id, name } of found.rows) names.set(id, name);
  }
  return names;
}

type GroupFields = Omit<UsageReportRow, keyof UsageTotals>;

function groupOf(groupBy: readonly UsageGroup[], row: SumsRow, names: Names): GroupFields {
  return groupBy.reduce<GroupFields>(
    (fields, group) => ({ ...fields, ...groupFields(group, row[`by_${group}`] ?? null, names) }),
    {},
  );
}

function groupFields(group: UsageGroup, key: string | null, names: Names): GroupFields {
  const name = names.get(key ?? '') ?? null;
  if (group === 'deployment') return { deploymentId: key, deploymentName: name };
  assert(key !== null, 'every request has an account, a key, a model and a time');
  switch (group) {
    case 'account':
      return { accountId: key, accountName: name };
    case 'key':
      return { apiKeyId: key, apiKeyName: name };
    case 'model':
      return { model: key };
    case 'day':
      return { day: dayOf(new Date(Number(key) * DAY_MS)) };
    case 'hour':
      return { hour: new Date(Number(key) * HOUR_MS).toISOString() };
  }
}

function sumsOf(row: SumsRow): UsageTotals {
  const cost = BigInt(sumIn(row, 'cost'));
  const absorbed = BigInt(sumIn(row, 'absorbed'));
  return {
    requests: Number(sumIn(row, 'requests')),
    outcomes: each(OUTCOMES, (outcome) => Number(sumIn(row, `outcome_${outcome}`))),
    usageSources: each(USAGE_SOURCES, (source) => Number(sumIn(row, `source_${source}`))),
    units: each(UNIT_KINDS, (kind) => sumIn(row, `unit_${kind}`)),
    cost: formatAmount(cost),
    charged: formatAmount(cost - absorbed),
    absorbed: formatAmount(absorbed),
    averageFirstByteMs: averageIn(row, 'first_byte_ms'),
    averageTotalMs: averageIn(row, 'total_ms'),
  };
}

function sumIn(row: SumsRow, column: string): string {
  const sum = row[column];
  assert(typeof sum === 'string', `the query selects ${column}`);
  return sum;
}

function averageIn(row: SumsRow, column: string): number | null {
  const average = row[column] ?? null;
  return average === null ? null : Number(average);
}

function each<Name extends string, Value>(
  names: readonly Name[],
  valueOf: (name: Name) => Value,
): Record<Name, Value> {
  // Object.fromEntries forgets which names it was given.
  return Object.fromEntries(names.map((name) => [name, valueOf(name)])) as Record<Name, Value>;
}
