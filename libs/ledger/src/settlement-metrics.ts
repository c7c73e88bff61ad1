import type { Counter, CounterFamily, ProcessMetrics } from '@tollgate/runtime';
import type { Settlement } from './settle-batch.js';

const NANO_PER_CREDIT = 1e9;

/** Counts what settling did, in whichever process settles: billing does, and the gateway where the queue is away. */
export class SettlementMetrics {
  private readonly settled: CounterFamily;
  private readonly chargedCredits: Counter;
  private readonly reversedCredits: Counter;
  private readonly absorbed: Counter;
  private readonly absorbedCredits: Counter;

  constructor(metrics: ProcessMetrics) {
    this.settled = metrics.counter({
      name: 'tollgate_settled_events_total',
      help: 'Usage events that were settled, known already, or put into quarantine.',
      labelNames: ['outcome'],
    });
    for (const outcome of ['settled', 'known', 'quarantined']) this.settled.with(outcome);
    const single = (name: string, help: string): Counter => metrics.counter({ name, help }).with();
    this.chargedCredits = single('tollgate_charged_credits_total', 'Credits that were debited for usage.');
    this.reversedCredits = single(
      'tollgate_reversed_credits_total',
      'Credits of swept usage that were given back because the true usage came.',
    );
    this.absorbed = single(
      'tollgate_absorbed_events_total',
      'Usage events whose cost nobody could pay in full.',
    );
    this.absorbedCredits = single(
      'tollgate_absorbed_credits_total',
      'Credits that neither hold nor balance paid.',
    );
  }

  count(settlements: readonly Settlement[]): void {
    for (const { outcome, chargedNano, absorbedNano, reversedNano = 0n } of settlements) {
      this.settled.with(outcome).add();
      this.chargedCredits.add(Number(chargedNano) / NANO_PER_CREDIT);
      this.reversedCredits.add(Number(reversedNano) / NANO_PER_CREDIT);
      if (absorbedNano === 0n) continue;
      this.absorbed.add();
      this.absorbedCredits.add(Number(absorbedNano) / NANO_PER_CREDIT);
    }
  }

  /** An event that could not even be read was put into quarantine. */
  countQuarantined(): void {
    this.settled.with('quarantined').add();
  }
}
