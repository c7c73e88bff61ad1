import { setTimeout as delay } from 'node:timers/promises';
import {
  USAGE_JOB,
  USAGE_JOB_EVENTS_MAX,
  USAGE_JOB_VERSION,
  type UsageEvent,
  type UsageJob,
} from '@tollgate/contracts';
import { NO_SPAN, type Logger, type Span } from '@tollgate/runtime';
import type { Queue } from 'bullmq';
import { v7 as uuidv7 } from 'uuid';
import type { GatewayMetrics } from '../telemetry/gateway-metrics.js';

/** How long an event waits for others to share its job with. */
const BATCH_WINDOW_MS = 10;
/** How long the queue may take before the ledger is asked directly. */
const ACCEPT_TIMEOUT_MS = 1_000;
const RETRY_DELAY_MS = 250;
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
}

/** An event that nobody has accepted yet, with the span of bringing it there. */
interface PendingEvent {
  readonly event: UsageEvent;
  readonly span: Span;
}

/** Requests that a line about a whole batch names. */
const NAMED_MAX = 20;

/**
 * Brings usage events to billing, in batches, at least once: each add has a job id of its own, what is not accepted is
 * tried again for as long as the process lives, and the ledger's unique key makes repetitions harmless.
 */
export class UsagePublisher {
  private waiting: PendingEvent[] = [];
  private buffered = 0;
  private timer: NodeJS.Timeout | null = null;
  private readonly publishing = new Set<Promise<void>>();

  constructor(private readonly ports: PublisherPorts) {}

  /** Whether another request may be admitted: its event will have to wait here if billing is away. */
  get hasRoom(): boolean {
    return this.buffered < EVENT_BUFFER_MAX;
  }

  /** How many events nobody has accepted yet. */
  get bufferedEvents(): number {
    return this.buffered;
  }

  /** Takes a finished request's event, and the request's span. Never waits and never fails. */
  publish(event: UsageEvent, request: Span = NO_SPAN): void {
    this.waiting.push({ event, span: request.child('publish usage', { kind: 'producer' }) });
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
    const { logger, onAccepted, settleDirectly, counts } = this.ports;
    const events = pending.map(({ event }) => event);
    const requestIds = events.slice(0, NAMED_MAX).map(({ requestId }) => requestId);
    const fields = { events: events.length, requestIds };
    for (;;) {
      try {
        await this.enqueue({ version: USAGE_JOB_VERSION, events, ...tracesOf(pending) });
        counts.queued.add(events.length);
        break;
      } catch (error) {
        logger.warn({ err: error, ...fields }, 'the queue did not accept usage events');
      }
      try {
        await settleDirectly(events);
        counts.settledDirectly.add(events.length);
        break;
      } catch (error) {
        logger.error({ err: error, ...fields }, 'usage events wait: neither queue nor ledger took them');
        await delay(RETRY_DELAY_MS);
      }
    }
    await onAccepted(events);
  }

  /** The id is fresh for each add: BullMQ ignores an add under an id that it knows, whatever the new content is. */
  private async enqueue(job: UsageJob): Promise<void> {
    const timeout = new AbortController();
    const added = this.ports.queue.add(USAGE_JOB, job, { jobId: `u-${uuidv7()}` });
    // The add goes on after the time-out; its rejection then is nobody's.
    added.catch(() => undefined);
    const late = delay(ACCEPT_TIMEOUT_MS, undefined, { signal: timeout.signal }).then(() => {
      throw new Error(`not accepted within ${String(ACCEPT_TIMEOUT_MS)} ms`);
    });
    try {
      await Promise.race([added, late]);
    } finally {
      timeout.abort();
      late.catch(() => undefined);
    }
  }
}

/** The job's traces, where any of its requests is traced. */
function tracesOf(pending: readonly PendingEvent[]): Pick<UsageJob, 'traces'> {
  const traced = pending.flatMap(({ event, span }): [string, string][] =>
    span.traceparent === null ? [] : [[event.requestId, span.traceparent]],
  );
  return traced.length === 0 ? {} : { traces: Object.fromEntries(traced) };
}
