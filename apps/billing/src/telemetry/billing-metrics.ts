import { SettlementMetrics, type BookState, type EscrowTotal, type ExpiredHold } from '@tollgate/ledger';
import {
  LATENCY_BOUNDS_SECONDS,
  type Counter,
  type CounterFamily,
  type Histogram,
  type ProcessMetrics,
} from '@tollgate/runtime';

const NANO_PER_CREDIT = 1e9;

/** What waits for billing, as it was seen last. */
export interface Backlog {
  /** Jobs by state. */
  readonly jobs: Readonly<Record<string, number>>;
  /** Milliseconds since the epoch at which the oldest unsettled event's request ended; null without one. */
  readonly oldestEventAtMs: number | null;
}

/** What billing counts. Names, labels and units are described in docs/observability.md. */
export class BillingMetrics {
  readonly settlements: SettlementMetrics;
  readonly jobFailures: Counter;
  /** Seconds that a job takes. */
  readonly jobDuration: Histogram;
  /** Seconds from the end of a request until its event is settled. */
  readonly settleDelay: Histogram;
  /** Null while the queue does not say. */
  backlog: Backlog | null = null;
  openDeadLetters: number | null = null;
  /** What the last check of the books found, by whichever process; null before it is known. */
  books: BookState | null = null;
  escrows: readonly EscrowTotal[] | null = null;
  /** Pockets without an escrow and escrows without a pocket that were found. */
  readonly drifts: CounterFamily;
  /** Finished requests whose usage no copy has any more. */
  readonly usageLost: Counter;
  private readonly expired: Counter;
  private readonly expiredCredits: Counter;

  constructor(private readonly metrics: ProcessMetrics) {
    this.settlements = new SettlementMetrics(metrics);
    const single = (name: string, help: string): Counter => metrics.counter({ name, help }).with();
    this.jobFailures = single(
      'tollgate_billing_job_failures_total',
      'Jobs that could not be settled and were put back.',
    );
    this.expired = single('tollgate_billing_holds_expired_total', 'Holds that nobody renewed in time.');
    this.expiredCredits = single('tollgate_billing_holds_expired_credits_total', 'Credits that these held.');
    this.usageLost = single(
      'tollgate_billing_usage_lost_total',
      'Finished requests whose usage neither queue nor journal had any more, known by their holds in Postgres.',
    );
    const timing = (name: string, help: string): Histogram =>
      metrics.histogram({ name, help, bounds: LATENCY_BOUNDS_SECONDS }).with();
    this.drifts = metrics.counter({
      name: 'tollgate_billing_drifts_total',
      help: 'Pockets in Redis without an open escrow in Postgres, and the reverse, that were found and repaired.',
      labelNames: ['found'],
    });
    this.jobDuration = timing('tollgate_billing_job_duration_seconds', 'How long settling a job takes.');
    this.settleDelay = timing(
      'tollgate_billing_settle_delay_seconds',
      'From the end of a request until its usage event is settled.',
    );
    this.showBacklog();
    this.showBooks();
    this.showEscrows();
  }

  countExpired(holds: readonly Pick<ExpiredHold, 'amountNano'>[]): void {
    this.expired.add(holds.length);
    for (const { amountNano } of holds) this.expiredCredits.add(Number(amountNano) / NANO_PER_CREDIT);
  }

  private showBacklog(): void {
    this.metrics.gauge({
      name: 'tollgate_billing_queue_reachable',
      help: '1 while the queue answers.',
      read: () => Number(this.backlog !== null),
    });
    this.metrics.gauge({
      name: 'tollgate_billing_queue_jobs',
      help: 'Jobs in the queue, at most 5 s ago. One carries up to 200 events.',
      labelNames: ['state'],
      read: () => Object.entries(this.backlog?.jobs ?? {}).map(([state, count]) => [[state], count] as const),
    });
    this.metrics.gauge({
      name: 'tollgate_billing_queue_oldest_event_age_seconds',
      help: 'Age of the oldest usage event that is not settled; 0 without one.',
      read: () => ageSeconds(this.backlog),
    });
    this.metrics.gauge({
      name: 'tollgate_billing_dead_letters_open',
      help: 'Usage events that can never settle and that nobody has decided about.',
      read: () => this.openDeadLetters,
    });
  }

  private showBooks(): void {
    this.metrics.gauge({
      name: 'tollgate_billing_ledger_violations',
      help: 'Broken invariants in the books of accounts, at most 20 of each.',
      read: () => this.books?.violationCount ?? null,
    });
    this.metrics.gauge({
      name: 'tollgate_billing_ledger_check_timestamp_seconds',
      help: 'When the books of all accounts that had changed were last checked.',
      read: () => secondsOf(this.books?.checkedAt ?? null),
    });
  }

  private showEscrows(): void {
    this.metrics.gauge({
      name: 'tollgate_billing_escrows',
      help: 'Escrows that have credits set aside for Redis, at most a minute ago.',
      labelNames: ['state'],
      read: () => (this.escrows ?? []).map(({ state, count }) => [[state], count] as const),
    });
    this.metrics.gauge({
      name: 'tollgate_billing_escrow_credits',
      help: 'Credits that these have set aside.',
      labelNames: ['state'],
      read: () =>
        (this.escrows ?? []).map(
          ({ state, amountNano }) => [[state], Number(amountNano) / NANO_PER_CREDIT] as const,
        ),
    });
  }
}

function ageSeconds(backlog: Backlog | null): number | null {
  if (backlog === null) return null;
  return backlog.oldestEventAtMs === null ? 0 : Math.max(0, (Date.now() - backlog.oldestEventAtMs) / 1_000);
}

function secondsOf(moment: Date | null): number | null {
  return moment === null ? null : moment.getTime() / 1_000;
}
