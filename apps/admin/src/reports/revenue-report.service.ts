import { Injectable } from '@nestjs/common';
import { formatAmount } from '@tollgate/pricing';
import type { PoolClient } from 'pg';
import { ReportReads } from './report-reads.js';
import {
  DAY_MS,
  ROWS_MAX,
  dayOf,
  reportSpan,
  requireDays,
  tooManyRows,
  type ReportSpan,
} from './report-span.js';
import type {
  RevenueGroup,
  RevenueReport,
  RevenueReportParameters,
  RevenueRow,
  RevenueTotals,
} from './report.schema.js';

const DAYS_MAX: Readonly<Record<RevenueGroup, number>> = { day: 400, month: 3_660, account: 3_660 };
const MONTHS_UNLESS_TOLD = 12;

/** What moved in a group, in nano-credits, signed from the accounts' side but for what they paid. */
interface Moved {
  readonly topUps: bigint;
  readonly grants: bigint;
  readonly refunds: bigint;
  readonly adjustments: bigint;
  readonly expired: bigint;
  readonly charged: bigint;
  readonly absorbed: bigint;
}

const NOTHING: Moved = {
  topUps: 0n,
  grants: 0n,
  refunds: 0n,
  adjustments: 0n,
  expired: 0n,
  charged: 0n,
  absorbed: 0n,
};

/** A group as the driver reads it. `later`: what its accounts' balances changed by after the report's end. */
type MovedColumns = { readonly [column in keyof Moved | 'later']: string };
type PeriodColumns = MovedColumns & { readonly period: string | null };
type AccountColumns = MovedColumns & {
  readonly accountId: string;
  readonly accountName: string;
  readonly posted: string;
};

/**
 * Transfers from the report's beginning on ($1), those after its end ($2) marked `later`, of one account ($3) or all. What
 * was absorbed touches no account: the request says whose it was.
 */
const MOVED = `moved AS (
  SELECT account_id, kind, created_at, created_at >= $2 AS later,
         CASE WHEN credit_id = account_id THEN amount ELSE -amount END AS amount
    FROM tollgate.transfer
   WHERE created_at >= $1 AND account_id IS NOT NULL AND ($3::uuid IS NULL OR account_id = $3)
  UNION ALL
  SELECT u.account_id, t.kind, t.created_at, t.created_at >= $2, t.amount
    FROM tollgate.transfer t JOIN tollgate.usage_record u ON u.request_id = t.ref_id AND NOT u.swept
   WHERE t.kind = 'absorbed' AND t.created_at >= $1 AND ($3::uuid IS NULL OR u.account_id = $3))`;

const SUMS = `${sumOf('topUps', 'top_up')}, ${sumOf('grants', 'grant')}, ${sumOf('refunds', 'refund')},
  ${sumOf('adjustments', 'adjustment')}, ${sumOf('expired', 'expiry')}, ${sumOf('absorbed', 'absorbed')},
  -COALESCE(sum(m.amount) FILTER (WHERE NOT m.later AND m.kind IN ('usage', 'swept', 'reversal')), 0) AS charged,
  COALESCE(sum(m.amount) FILTER (WHERE m.later AND m.kind <> 'absorbed'), 0) AS later`;

function sumOf(column: keyof Moved, kind: string): string {
  return `COALESCE(sum(m.amount) FILTER (WHERE NOT m.later AND m.kind = '${kind}'), 0) AS "${column}"`;
}

/** What came in, what was earned, and what is still owed, by when the ledger wrote it down. */
@Injectable()
export class RevenueReportService {
  constructor(private readonly reads: ReportReads) {}

  /** @throws Problem 422 for a span that is too long, and for a report of too many rows. */
  async report(asked: RevenueReportParameters): Promise<RevenueReport> {
    const { groupBy, accountId = null } = asked;
    const span = spanOf(asked);
    requireDays(span, DAYS_MAX[groupBy], groupBy);
    const values = [span.from, span.to, accountId];
    const groups = await this.reads.snapshot((connection) =>
      groupBy === 'account' ? byAccount(connection, values) : byPeriod(connection, values, { groupBy, span }),
    );
    const total = groups.rows.reduce((sum, { moved }) => added(sum, moved), NOTHING);
    return {
      groupBy,
      from: span.from.toISOString(),
      to: span.to.toISOString(),
      opening: formatAmount(groups.closing - netOf(total)),
      data: groups.rows.map(({ name, moved, liability }) => ({ ...name, ...sumsOf(moved, liability) })),
      totals: sumsOf(total, groups.closing),
    };
  }
}

/** Months are asked for by the year, where nothing else is said. */
function spanOf({ groupBy, from, to }: RevenueReportParameters): ReportSpan {
  if (groupBy !== 'month' || from !== undefined) return reportSpan({ from, to });
  const end = to ?? new Date();
  const first = Date.UTC(end.getUTCFullYear(), end.getUTCMonth() - MONTHS_UNLESS_TOLD + 1);
  return reportSpan({ from: new Date(Math.min(first, end.getTime() - 1)), to: end });
}

interface Group {
  readonly name: Pick<RevenueRow, 'day' | 'month' | 'accountId' | 'accountName'>;
  readonly moved: Moved;
  /** At the end of the group's time. */
  readonly liability: bigint;
}

interface Groups {
  readonly rows: readonly Group[];
  /** The liability at the end of the report. */
  readonly closing: bigint;
}

/** Accounts on which something moved, or which have a balance; who paid most comes first. */
async function byAccount(connection: PoolClient, values: readonly unknown[]): Promise<Groups> {
  const { rows } = await connection.query<AccountColumns>(
    `WITH ${MOVED}, summed AS (
       SELECT a.id AS "accountId", a.name AS "accountName", a.posted, ${SUMS},
              count(*) FILTER (WHERE NOT m.later) AS movements
         FROM tollgate.account a LEFT JOIN moved m ON m.account_id = a.id
        WHERE $3::uuid IS NULL OR a.id = $3 GROUP BY a.id)
     SELECT * FROM summed WHERE movements > 0 OR posted <> later
      ORDER BY charged DESC, "accountId" LIMIT ${ROWS_MAX + 1}`,
    [...values],
  );
  if (rows.length > ROWS_MAX) throw tooManyRows();
  const groups = rows.map(({ accountId, accountName, posted, later, ...columns }) => ({
    name: { accountId, accountName },
    moved: movedOf(columns),
    liability: BigInt(posted) - BigInt(later),
  }));
  return { rows: groups, closing: groups.reduce((sum, { liability }) => sum + liability, 0n) };
}

/** All days or months of the span in their order, those too in which nothing moved. */
async function byPeriod(
  connection: PoolClient,
  values: readonly unknown[],
  { groupBy, span }: { readonly groupBy: 'day' | 'month'; readonly span: ReportSpan },
): Promise<Groups> {
  const form = groupBy === 'day' ? 'YYYY-MM-DD' : 'YYYY-MM';
  const { rows } = await connection.query<PeriodColumns>(
    `WITH ${MOVED}
     SELECT CASE WHEN NOT m.later THEN to_char(m.created_at AT TIME ZONE 'UTC', '${form}') END AS period, ${SUMS}
       FROM moved m GROUP BY 1`,
    [...values],
  );
  const posted = await connection.query<{ posted: string }>(
    'SELECT COALESCE(sum(posted), 0) AS posted FROM tollgate.account WHERE $1::uuid IS NULL OR id = $1',
    [values[2]],
  );
  const later = BigInt(rows.find(({ period }) => period === null)?.later ?? '0');
  const closing = BigInt(posted.rows[0]?.posted ?? '0') - later;
  const movedIn = new Map(rows.map(({ period, ...columns }) => [period, movedOf(columns)]));
  const groups: Group[] = [];
  let liability = closing;
  // Backwards: what is known is the balance now.
  for (const period of periodsOf(groupBy, span).reverse()) {
    const moved = movedIn.get(period) ?? NOTHING;
    groups.push({ name: { [groupBy]: period }, moved, liability });
    liability -= netOf(moved);
  }
  return { rows: groups.reverse(), closing };
}

function periodsOf(groupBy: 'day' | 'month', { from, to }: ReportSpan): string[] {
  const length = groupBy === 'day' ? 10 : 7;
  const periods = new Set<string>();
  const first = Math.floor(from.getTime() / DAY_MS) * DAY_MS;
  for (let day = first; day < to.getTime(); day += DAY_MS) periods.add(dayOf(new Date(day)).slice(0, length));
  return [...periods];
}

function movedOf(columns: { readonly [column in keyof Moved]: string }): Moved {
  const { topUps, grants, refunds, adjustments, expired, charged, absorbed } = columns;
  return {
    topUps: BigInt(topUps),
    grants: BigInt(grants),
    refunds: BigInt(refunds),
    adjustments: BigInt(adjustments),
    expired: BigInt(expired),
    charged: BigInt(charged),
    absorbed: BigInt(absorbed),
  };
}

/** What balances changed by. */
function netOf({ topUps, grants, refunds, adjustments, expired, charged }: Moved): bigint {
  return topUps + grants + refunds + adjustments + expired - charged;
}

function added(a: Moved, b: Moved): Moved {
  return {
    topUps: a.topUps + b.topUps,
    grants: a.grants + b.grants,
    refunds: a.refunds + b.refunds,
    adjustments: a.adjustments + b.adjustments,
    expired: a.expired + b.expired,
    charged: a.charged + b.charged,
    absorbed: a.absorbed + b.absorbed,
  };
}

function sumsOf(moved: Moved, liability: bigint): RevenueTotals {
  return {
    topUps: formatAmount(moved.topUps),
    grants: formatAmount(moved.grants),
    refunds: formatAmount(moved.refunds),
    adjustments: formatAmount(moved.adjustments),
    expired: formatAmount(moved.expired),
    charged: formatAmount(moved.charged),
    absorbed: formatAmount(moved.absorbed),
    liability: formatAmount(liability),
  };
}
