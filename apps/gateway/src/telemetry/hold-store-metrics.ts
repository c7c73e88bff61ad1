import type { Counter, CounterFamily, ProcessMetrics } from '@tollgate/runtime';

/** Where new holds are placed. */
export type HoldStoreName = 'redis' | 'postgres';

/** What became of a refill of a pocket. */
const REFILL_RESULTS = ['filled', 'exhausted', 'replaced', 'barred', 'failed'] as const;
export type RefillResult = (typeof REFILL_RESULTS)[number];

/** Where holds are, and what it takes to keep pockets filled. Described in docs/observability.md. */
export class HoldStoreMetrics {
  /** The store that new holds go to now. */
  inUse: HoldStoreName = 'postgres';
  /** Holds of running requests that were not renewed in time. */
  readonly lost: Counter;
  private readonly switches: CounterFamily;
  private readonly refills: CounterFamily;

  constructor(metrics: ProcessMetrics) {
    metrics.gauge({
      name: 'tollgate_gateway_hold_store_in_use',
      help: '1 for the store that new holds are placed in.',
      labelNames: ['store'],
      read: () => [
        [['redis'], Number(this.inUse === 'redis')],
        [['postgres'], Number(this.inUse === 'postgres')],
      ],
    });
    this.switches = metrics.counter({
      name: 'tollgate_gateway_hold_store_switches_total',
      help: 'Times that holds began to go to the other store.',
      labelNames: ['to'],
    });
    for (const store of ['redis', 'postgres']) this.switches.with(store);
    this.refills = metrics.counter({
      name: 'tollgate_gateway_hold_refills_total',
      help: 'Times that Postgres was asked to fill a pocket, by what became of it.',
      labelNames: ['result'],
    });
    for (const result of REFILL_RESULTS) this.refills.with(result);
    this.lost = metrics
      .counter({
        name: 'tollgate_gateway_holds_lost_total',
        help: 'Holds of running requests that were not renewed in time.',
      })
      .with();
  }

  switched(to: HoldStoreName): void {
    this.inUse = to;
    this.switches.with(to).add();
  }

  refilled(result: RefillResult): void {
    this.refills.with(result).add();
  }
}
