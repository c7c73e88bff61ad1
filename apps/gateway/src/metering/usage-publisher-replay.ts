import { parseUsageJob, type UsageEvent, type UsageJob } from '@tollgate/contracts';
import type { EventBatch } from '../journal/segment-reader.js';
import { addUsageJob } from './usage-publisher-queue.js';
import type { PublisherPorts } from './usage-publisher.js';

/** Brings events from the journal to billing as they stand there: what this build would make of them is another matter. */
export class UsageReplay {
  constructor(private readonly ports: Omit<PublisherPorts, 'journal'>) {}

  /**
   * Brings them to the queue, else to the ledger; what the queue had before, and lost or still has, to the ledger first: a queue that
   * loses twice would keep it from the books for longer than money is kept for it. Holds are closed with the first publication only.
   * @throws where neither takes them.
   */
  async publish(batch: EventBatch, isFirst: boolean): Promise<'queue' | 'ledger'> {
    if (!isFirst) return await this.settleOrQueue(batch);
    const taker = await this.queueOrSettle(batch);
    await this.ports.onAccepted(readable(batch));
    return taker;
  }

  /**
   * Settles them without the queue.
   * @throws where the ledger cannot, or this build cannot read them.
   */
  async settleDirectly(batch: EventBatch): Promise<void> {
    const { events, malformed } = parseUsageJob({ version: batch.contract, events: batch.events });
    const [first] = malformed;
    if (first !== undefined) throw new Error(`events of the journal wait for the queue: ${first.reason}`);
    await this.ports.settleDirectly(events);
    this.ports.counts.settledDirectly.add(events.length);
  }

  private async queueOrSettle(batch: EventBatch): Promise<'queue' | 'ledger'> {
    try {
      return await this.queue(batch);
    } catch (error) {
      this.warn(error, batch, 'queue');
    }
    await this.settleDirectly(batch);
    return 'ledger';
  }

  private async settleOrQueue(batch: EventBatch): Promise<'queue' | 'ledger'> {
    try {
      await this.settleDirectly(batch);
      return 'ledger';
    } catch (error) {
      this.warn(error, batch, 'ledger');
    }
    return await this.queue(batch);
  }

  private async queue(batch: EventBatch): Promise<'queue'> {
    const { queue, counts } = this.ports;
    // Of another version or build it may well be something else; whoever takes the job parses it.
    await addUsageJob(queue, { version: batch.contract, events: batch.events } as unknown as UsageJob);
    counts.queued.add(batch.events.length);
    return 'queue';
  }

  private warn(error: unknown, { events }: EventBatch, taker: string): void {
    this.ports.logger.warn(
      { err: error, events: events.length },
      `the ${taker} did not accept events of the journal`,
    );
  }
}

/** What this build can read of a batch. */
function readable(batch: EventBatch): UsageEvent[] {
  try {
    return parseUsageJob({ version: batch.contract, events: batch.events }).events;
  } catch {
    return [];
  }
}
