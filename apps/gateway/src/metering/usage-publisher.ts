import { setTimeout as delay } from 'node:timers/promises';
import { USAGE_JOB_EVENTS_MAX, usageJobVersion, type UsageEvent, type UsageJob } from '@tollgate/contracts';
import { NO_SPAN, faultPoint, type Logger, type Span } from '@tollgate/runtime';
import type { Queue } from 'bullmq';
import type { Journal } from '../journal/journal.js';
import type { GatewayMetrics } from '../telemetry/gateway-metrics.js';
import { addUsageJob } from './usage-publisher-queue.js';

/** How long an event waits for others to share its job with. */
const BATCH_WINDOW_MS = 10;
const RETRY_DELAY_MS = 250;
/** Events that wait in memory although the journal has them; from there on it alone has them. */
const LEFT_TO_JOURNAL_FROM = 2_000;
/** Finished events that wait for the queue and the ledger, at most; then no new request is served. */
export const EVENT_BUFFER_MAX = 10_000;

/** What the publisher needs of the process around it. */
export interface PublisherPorts {
  readonly queue: Queue<UsageJob>;
  /** Settles events without the queue: idempotent, so an event that the queue did take after all is harmless. */
  readonly settleDirectly: (events: readonly UsageEvent[]) => Promise<void>;
  /** Called with the events that were accepted: only now may their holds be closed. */
  readonly onAccepted: (events: readonly UsageEvent[]) => Promise<void>;
  readonly logger: Logger;
  readonly counts: GatewayMetrics['events'];
  /** The copy on this machine's disk; null where there is none: then events wait in memory. */
  readonly journal: UsageJournal | null;
}

/** What the publisher needs of the journal. */
export type UsageJournal = Pick<
  Journal,
  'isWritable' | 'mayQueue' | 'begun' | 'checkpoint' | 'append' | 'queued' | 'settled' | 'left'
>;

/** An event that nobody has accepted yet, with the span of bringing it there. */
interface PendingEvent {
  readonly event: UsageEvent;
  /** Whether the journal has it, once that is known. */
  readonly journalled: Promise<boolean>;
  readonly span: Span;
}

const NOT_JOURNALLED = Promise.resolve(false);

/** Requests that a line about a whole batch names. */
const NAMED_MAX = 20;

/**
 * Brings usage events to billing, in batches, at least once: first to the journal, then to the queue. Each add has a job id of
 * its own, what is not accepted is tried again for as long as the process lives, and the ledger's unique key makes
 * repetitions harmless. What the journal has may be left to its check.
 */
export class UsagePublisher {
  private waiting: PendingEvent[] = [];
  private buffered = 0;
  private timer: NodeJS.Timeout | null = null;
  private readonly publishing = new Set<Promise<void>>();

  constructor(private readonly ports: PublisherPorts) {}

  /** Whether another request may be admitted: its event will have to wait here if billing is away. */
  get hasRoom(): boolean {
    const { journal } = this.ports;
    return this.buffered < EVENT_BUFFER_MAX && (journal === null || journal.isWritable);
  }

  /** How many events nobody has accepted yet. */
  get bufferedEvents(): number {
    return this.buffered;
  }

  /** A request has its hold. Never waits and never fails. */
  begun(request: Pick<UsageEvent, 'requestId' | 'accountId'>): void {
    this.ports.journal?.begun(request);
  }

  /** What a running request would cost if it ended now. Never waits and never fails. */
  checkpoint(event: UsageEvent): void {
    this.ports.journal?.checkpoint(event);
  }

  /**
   * Takes a finished request's event, and the request's span: into the journal at once, to the queue with others. Never waits
   * and never fails.
   */
  publish(event: UsageEvent, request: Span = NO_SPAN): void {
    const span = request.child('publish usage', { kind: 'producer' });
    this.waiting.push({ event, span, journalled: this.ports.journal?.append([event]) ?? NOT_JOURNALLED });
    this.buffered += 1;
    if (this.waiting.length >= USAGE_JOB_EVENTS_MAX) this.send();
    else this.timer ??= setTimeout(() => this.send(), BATCH_WINDOW_MS);
  }

  /** Resolves when every event so far was accepted. */
  async flush(): Promise<void> {
    this.send();
    while (this.publishing.size > 0) await Promise.all(this.publishing);
  }

  private send(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    const pending = this.waiting;
    if (pending.length === 0) return;
    this.waiting = [];
    const done = this.deliver(pending).finally(() => {
      this.buffered -= pending.length;
      for (const { span } of pending) span.end();
      this.publishing.delete(done);
    });
    this.publishing.add(done);
  }

  private async deliver(pending: readonly PendingEvent[]): Promise<void> {
    const { journal, onAccepted } = this.ports;
    const events = pending.map(({ event }) => event);
    const journalled = await Promise.all(pending.map((one) => one.journalled));
    const isJournalled = journalled.every(Boolean);
    faultPoint('g.journal.ok');
    if (isJournalled && journal?.mayQueue === false) return journal.left(events);
    // Without its copy on the disk an event is safe in the ledger alone.
    const prefersLedger = journal !== null && !isJournalled;
    for (;;) {
      const taker = await this.bring(pending, prefersLedger ? ['ledger', 'queue'] : ['queue', 'ledger']);
      if (taker !== null) {
        if (taker === 'queue') journal?.queued(events);
        else journal?.settled(events);
        faultPoint('g.settle.ok');
        return onAccepted(events);
      }
      if (isJournalled && this.buffered > LEFT_TO_JOURNAL_FROM) return journal?.left(events);
      await delay(RETRY_DELAY_MS);
    }
  }

  /** Asks one after the other to take the events; null where nobody does. */
  private async bring(
    pending: readonly PendingEvent[],
    takers: readonly ('queue' | 'ledger')[],
  ): Promise<'queue' | 'ledger' | null> {
    const { queue, logger, settleDirectly, counts } = this.ports;
    const events = pending.map(({ event }) => event);
    const requestIds = events.slice(0, NAMED_MAX).map(({ requestId }) => requestId);
    for (const taker of takers) {
      try {
        if (taker === 'queue') {
          await addUsageJob(queue, {
            version: usageJobVersion(events),
            events,
            ...tracesOf(pending),
          });
          counts.queued.add(events.length);
        } else {
          await settleDirectly(events);
          counts.settledDirectly.add(events.length);
        }
        return taker;
      } catch (error) {
        logger.warn(
          { err: error, events: events.length, requestIds },
          `the ${taker} did not accept usage events`,
        );
      }
    }
    logger.error(
      { events: events.length, requestIds },
      'usage events wait: neither queue nor ledger took them',
    );
    return null;
  }
}

/** The job's traces, where any of its requests is traced. */
function tracesOf(pending: readonly PendingEvent[]): Pick<UsageJob, 'traces'> {
  const traced = pending.flatMap(({ event, span }): [string, string][] =>
    span.traceparent === null ? [] : [[event.requestId, span.traceparent]],
  );
  return traced.length === 0 ? {} : { traces: Object.fromEntries(traced) };
}
