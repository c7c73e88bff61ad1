import { invalidValue } from '@tollgate/openai';
import {
  listCharged,
  readCredits,
  sumCharged,
  type Credits,
  type DashboardMode,
  type Span,
  type UsageOwner,
} from '@tollgate/persistence';
import type { PoolClient } from 'pg';
import { creditSummaryView, dashboardUsageView, subscriptionView } from './dashboard-view.js';
import type { DashboardQuery } from './dashboard.schema.js';
import { readKeyAndBalance } from './key-self-service.js';
import type { LedgerReads } from './ledger-reads.js';
import { addDays, daysBetween, monthOf, monthStart, nextMonthStart } from './utc-days.js';

const DAYS_MAX = 400;
const GRANTS_SHOWN_MAX = 100;

/**
 * OpenAI's old billing pages, which clients still ask for, out of the ledger of the caller's account. They subtract usage
 * from a limit: in the mode `month` that is the available balance and what was charged this month, in `lifetime` that and
 * all that was ever charged, which their usage then is too, whatever days they ask for.
 */
export class BillingDashboard {
  constructor(
    private readonly reads: LedgerReads,
    private readonly currentMode: () => DashboardMode,
  ) {}

  /** The limits in dollars: limit less usage is what the account can still spend. */
  async subscription(caller: UsageOwner): Promise<object> {
    const { apiKeyId, accountId } = caller;
    const mode = this.currentMode();
    const facts = await this.reads.readShared(`subscription ${mode} ${apiKeyId}`, async (connection) => {
      const { key, balance } = await readKeyAndBalance(connection, caller);
      const charged =
        mode === 'month'
          ? await sumCharged(connection, { accountId, ...monthOf(new Date()) })
          : await readLifetime(connection, { accountId, postedNano: balance.postedNano });
      return { key, balance, charged };
    });
    return subscriptionView({
      accountName: facts.key.account.name,
      expiresAt: facts.key.expiresAt,
      availableNano: facts.balance.availableNano,
      chargedNano: facts.charged.chargedNano,
    });
  }

  /** What each day cost for each model, in cents. @throws RequestProblem for days that are no range, or too many. */
  async usage(caller: UsageOwner, query: DashboardQuery): Promise<object> {
    const days = daysAsked(query, new Date());
    const mode = this.currentMode();
    const subject = `usage ${mode} ${caller.accountId} ${String(days[0]?.from.getTime())} ${String(days.length)}`;
    const { charged, totalNano } = await this.reads.readShared(subject, async (connection) => {
      const rows = await listCharged(connection, caller.accountId, days);
      const ofDaysNano = rows.reduce((sum, { chargedNano }) => sum + chargedNano, 0n);
      if (mode === 'month') return { charged: rows, totalNano: ofDaysNano };
      const { balance } = await readKeyAndBalance(connection, caller);
      const lifetime = await readLifetime(connection, { ...caller, postedNano: balance.postedNano });
      return { charged: rows, totalNano: lifetime.chargedNano };
    });
    return dashboardUsageView({ days, charged, totalNano });
  }

  /** What the account was given and used in its lifetime, and what it can spend, in dollars. */
  async creditGrants(caller: UsageOwner): Promise<object> {
    const { accountId } = caller;
    const facts = await this.reads.readShared(`credits ${accountId}`, async (connection) => {
      const { balance } = await readKeyAndBalance(connection, caller);
      return {
        ...balance,
        ...(await readLifetime(connection, { accountId, postedNano: balance.postedNano })),
      };
    });
    return creditSummaryView(facts);
  }
}

/** Posted is the sum of all transfers, so what usage took is what came in and is not there any more. */
async function readLifetime(
  connection: PoolClient,
  account: { readonly accountId: string; readonly postedNano: bigint },
): Promise<Credits & { readonly chargedNano: bigint }> {
  const credits = await readCredits(connection, account.accountId, GRANTS_SHOWN_MAX);
  return { ...credits, chargedNano: credits.grantedNano - account.postedNano };
}

/** Both days are part of the range. Without them it is the current month, or that of the one day that was given. */
export function daysAsked(query: DashboardQuery, now: Date): Span[] {
  const first = query.start_date ?? monthStart(earlier(now, query.end_date));
  const last = query.end_date ?? addDays(nextMonthStart(later(now, query.start_date)), -1);
  if (first > last) throw invalidValue('start_date', "it is after 'end_date'");
  if (last >= addDays(first, DAYS_MAX)) {
    throw invalidValue('end_date', `a range has at most ${String(DAYS_MAX)} days`);
  }
  return daysBetween(first, last);
}

function earlier(now: Date, other: Date | undefined): Date {
  return other !== undefined && other < now ? other : now;
}

function later(now: Date, other: Date | undefined): Date {
  return other !== undefined && other > now ? other : now;
}
