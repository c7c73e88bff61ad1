import type { ChargedRow, CreditRow, Span } from '@tollgate/persistence';

/** Nano-credits that the pages show as one dollar: a credit is worth one unless an operator says otherwise. */
const NANO_PER_DOLLAR = 1e9;
const NANO_PER_CENT = 1e7;
/** The old integer limits counted units of this many dollars. */
const LIMIT_UNIT_DOLLARS = 0.00006;
/** Nano-credits in the last decimal of `available_amount`. */
const NANO_PER_SHOWN_DECIMAL = 100_000n;
const SHOWN_DECIMALS = 4;

/** What a subscription is shown from. */
export interface SubscriptionFacts {
  readonly accountName: string;
  readonly expiresAt: Date | null;
  readonly availableNano: bigint;
  /** What was charged in the time that the usage page shows: limit less usage is then what can still be spent. */
  readonly chargedNano: bigint;
}

/** The subscription as billing pages read it: limits in dollars. */
export function subscriptionView(facts: SubscriptionFacts): object {
  const { accountName, expiresAt, availableNano, chargedNano } = facts;
  const limit = dollars(availableNano + chargedNano);
  const units = Math.round(limit / LIMIT_UNIT_DOLLARS);
  return {
    object: 'billing_subscription',
    has_payment_method: true,
    canceled: false,
    canceled_at: null,
    delinquent: null,
    access_until: expiresAt === null ? 0 : unixSeconds(expiresAt),
    soft_limit: units,
    hard_limit: units,
    system_hard_limit: units,
    soft_limit_usd: limit,
    hard_limit_usd: limit,
    system_hard_limit_usd: limit,
    plan: { title: 'Prepaid', id: 'payg' },
    account_name: accountName,
    po_number: null,
    billing_email: null,
    tax_ids: null,
    billing_address: null,
    business_address: null,
  };
}

/** The usage of days as billing pages read it: costs in hundredths of a dollar. */
export function dashboardUsageView(usage: {
  readonly days: readonly Span[];
  readonly charged: readonly ChargedRow[];
  readonly totalNano: bigint;
}): object {
  const items = usage.days.map((): { name: string; cost: number }[] => []);
  for (const { span, model, chargedNano } of usage.charged) {
    items[span]?.push({ name: model, cost: cents(chargedNano) });
  }
  return {
    object: 'list',
    daily_costs: usage.days.map(({ from }, day) => ({
      timestamp: unixSeconds(from),
      line_items: items[day] ?? [],
    })),
    total_usage: cents(usage.totalNano),
  };
}

/** What a credit summary is shown from, in nano-credits over the account's lifetime. */
export interface CreditFacts {
  readonly grantedNano: bigint;
  readonly chargedNano: bigint;
  readonly postedNano: bigint;
  readonly availableNano: bigint;
  /** The latest credits, newest first. */
  readonly latest: readonly CreditRow[];
}

/** The credit summary as billing pages read it: dollars. */
export function creditSummaryView(facts: CreditFacts): object {
  const { grantedNano, chargedNano, postedNano, availableNano, latest } = facts;
  return {
    object: 'credit_summary',
    total_granted: dollars(grantedNano),
    total_used: dollars(chargedNano),
    total_available: dollars(availableNano),
    grants: {
      object: 'list',
      available_amount: roundedDown(availableNano),
      data: grantViews(latest, postedNano),
    },
  };
}

/** The oldest credits are used first, so what is left is left of the newest ones. */
function grantViews(latest: readonly CreditRow[], postedNano: bigint): object[] {
  let leftNano = postedNano > 0n ? postedNano : 0n;
  return latest.map(({ seq, amountNano, createdAt }) => {
    const unusedNano = amountNano < leftNano ? amountNano : leftNano;
    leftNano -= unusedNano;
    return {
      object: 'credit_grant',
      id: `grant_${seq.toString().padStart(2, '0')}`,
      grant_amount: dollars(amountNano),
      used_amount: dollars(amountNano - unusedNano),
      effective_at: unixSeconds(createdAt),
      // As in `access_until`: these credits do not expire.
      expires_at: 0,
    };
  });
}

// These pages want floats. Nothing is reckoned with them here or afterwards.
function dollars(nano: bigint): number {
  return Number(nano) / NANO_PER_DOLLAR;
}

function cents(nano: bigint): number {
  return Number(nano) / NANO_PER_CENT;
}

/** Dollars with four decimals, never more than there are. Not negative: an account never goes below its floor. */
function roundedDown(nano: bigint): string {
  const digits = (nano / NANO_PER_SHOWN_DECIMAL).toString().padStart(SHOWN_DECIMALS + 1, '0');
  return `${digits.slice(0, -SHOWN_DECIMALS)}.${digits.slice(-SHOWN_DECIMALS)}`;
}

function unixSeconds(instant: Date): number {
  return Math.floor(instant.getTime() / 1_000);
}
