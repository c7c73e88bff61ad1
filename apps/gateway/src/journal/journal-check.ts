import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { repeatTask, scaledMs, type Logger } from '@tollgate/runtime';
import { Adoption, type AbandonedRequest } from './adoption.js';
import type { Journal } from './journal.js';
import { readEvents, readSegment, type EventBatch } from './segment-reader.js';

/** Half of what an event may be unknown: one that the queue lost is published again after 45 s at the latest. */
const CHECK_INTERVAL_MS = scaledMs(15_000);
/** How long a segment stays after Postgres has all of it: a standby that takes over may lack what the last one had. */
const KEPT_AFTER_KNOWN_MS = 15 * 60_000;
/** Requests that Postgres is asked about at a time: 6 ms. */
const ASKED_MAX = 1_000;
/** Events that are published at a time. */
const PUBLISHED_MAX = 200;
/** How often Postgres is asked while the process waits to end. */
const DRAIN_INTERVAL_MS = 250;
/** How long billing may take for the last events before this process settles them itself. */
const DRAIN_DIRECTLY_AFTER_MS = 2_000;

/** What the check needs of the process around it. Each rejects where it cannot tell now. */
export interface CheckPorts {
  /** Which of these requests have a true usage record, or are in quarantine. */
  readonly knownRequests: (requestIds: readonly string[]) => Promise<ReadonlySet<string>>;
  /** Names the history of the database: another one means that a standby took over. */
  readonly history: () => Promise<string>;
  /** Brings events to the queue, else to the ledger, as they stand; answers who took them. `isFirst`: never added before. */
  readonly publish: (batch: EventBatch, isFirst: boolean) => Promise<'queue' | 'ledger'>;
  /** Settles events without the queue. */
  readonly settleDirectly: (batch: EventBatch) => Promise<void>;
  /** Settles requests whose gateway died: each at its checkpoint, or for nothing. */
  readonly sweep: (requests: readonly AbandonedRequest[]) => Promise<void>;
  readonly logger: Logger;
}

export interface CheckOptions {
  readonly intervalMs?: number;
  readonly keptAfterKnownMs?: number;
}

/**
 * Makes the journal true: whatever is in it and not in Postgres is published, again if need be, however it got lost. One rule
 * for a queue that forgot, a Redis that was rolled back, a gateway that died, and a database that was restored.
 */
export class JournalCheck {
  private readonly adoption: Adoption;
  private readonly task: { stop: () => Promise<void> };
  private readonly keptAfterKnownMs: number;
  private history: string | null = null;
  private running: Promise<void> | null = null;

  constructor(
    private readonly journal: Journal,
    private readonly ports: CheckPorts,
    options: CheckOptions = {},
  ) {
    this.keptAfterKnownMs = options.keptAfterKnownMs ?? KEPT_AFTER_KNOWN_MS;
    this.adoption = new Adoption(journal, ports.logger);
    this.task = repeatTask({
      intervalMs: options.intervalMs ?? CHECK_INTERVAL_MS,
      run: () => this.run(),
      onError: (error) => ports.logger.warn({ err: error }, 'the journal could not be checked'),
    });
  }

  /** Lines of adopted journals that were torn or altered. */
  get damagedLines(): number {
    return this.adoption.damagedLines;
  }

  /** Folders of processes that are no more, not settled to the end yet. */
  get adoptedFolders(): number {
    return this.adoption.folderCount;
  }

  /** One round, or the one that runs already. Rejects where Postgres or the queue is away; nothing is deleted then. */
  run(): Promise<void> {
    this.running ??= this.round().finally(() => {
      this.running = null;
    });
    return this.running;
  }

  /** Ends the rounds. */
  async stop(): Promise<void> {
    await this.task.stop();
    await this.running?.catch(() => undefined);
  }

  /**
   * Waits until Postgres knows every event, at most until `deadlineMs` of the monotonic clock. Answers whether it does; if
   * not, the journal keeps them for whoever adopts it.
   */
  async drain(deadlineMs: number): Promise<boolean> {
    const { book } = this.journal;
    const directlyAtMs = performance.now() + DRAIN_DIRECTLY_AFTER_MS;
    while (book.unknownEvents > 0 && performance.now() < deadlineMs) {
      try {
        await this.askWhatIsKnown();
        if (book.unknownEvents > 0 && performance.now() >= directlyAtMs) await this.settleRest();
      } catch (error) {
        this.ports.logger.warn({ err: error }, 'events of the journal are not settled yet');
      }
      if (book.unknownEvents > 0) await delay(DRAIN_INTERVAL_MS);
    }
    return book.unknownEvents === 0;
  }

  private async round(): Promise<void> {
    await this.adoption.run();
    await this.watchHistory();
    await this.askWhatIsKnown();
    await this.publishDue();
    await this.sweepAbandoned();
    await this.deleteSettled();
  }

  /** A standby that took over may lack what the database before it had: then all that is kept is asked about again. */
  private async watchHistory(): Promise<void> {
    const history = await this.ports.history();
    const before = this.history;
    if (before !== null && before !== history) {
      this.ports.logger.warn(
        { before, history },
        'another database took over: the journal is compared with it',
      );
      for (const path of this.journal.book.paths()) await this.takeBack(path);
    }
    this.history = history;
  }

  private async askWhatIsKnown(): Promise<void> {
    const { book } = this.journal;
    const ids = book.unknownIds();
    for (let from = 0; from < ids.length; from += ASKED_MAX) {
      book.known(await this.ports.knownRequests(ids.slice(from, from + ASKED_MAX)));
    }
  }

  private async publishDue(): Promise<void> {
    const { book } = this.journal;
    for (const [path, requestIds] of book.due()) {
      const [again, first] = partition(requestIds, (requestId) => book.wasQueued(requestId));
      for (const isFirst of [true, false]) {
        const wanted = isFirst ? first : again;
        if (wanted.size === 0) continue;
        for (const batch of await readEvents(path, wanted, PUBLISHED_MAX)) {
          const taker = await this.ports.publish(batch, isFirst);
          if (taker === 'queue') this.journal.queued(batch.events);
          else this.journal.settled(batch.events);
        }
        this.ports.logger.info({ path, events: wanted.size, isFirst }, 'published events from the journal');
      }
    }
  }

  private async settleRest(): Promise<void> {
    const { book } = this.journal;
    for (const [path, unknown] of book.unknownBySegment()) {
      for (const batch of await readEvents(path, unknown, PUBLISHED_MAX)) {
        await this.ports.settleDirectly(batch);
        this.journal.settled(batch.events);
      }
    }
  }

  private async sweepAbandoned(): Promise<void> {
    const { abandoned } = this.adoption;
    const ids = [...abandoned.keys()];
    for (let from = 0; from < ids.length; from += ASKED_MAX) {
      const asked = ids.slice(from, from + ASKED_MAX);
      const known = await this.ports.knownRequests(asked);
      // Together: one by one, what hundreds of streams left would keep the next round, and what is due then, for seconds.
      await this.ports.sweep(
        asked.flatMap((requestId) => (known.has(requestId) ? [] : (abandoned.get(requestId) ?? []))),
      );
      for (const requestId of asked) abandoned.delete(requestId);
      this.journal.settled(asked.map((requestId) => ({ requestId })));
    }
  }

  /** Before a segment goes Postgres is asked once more, since it may be one restored from a backup by now. */
  private async deleteSettled(): Promise<void> {
    const { book } = this.journal;
    for (const { path } of book.settledFor(this.keptAfterKnownMs)) {
      if ((await this.takeBack(path)) > 0) continue;
      await rm(path, { force: true });
      book.forget(path);
      await this.adoption.forget(path);
    }
  }

  /** Asks about all events of a segment, those known before too, and answers how many Postgres lacks. */
  private async takeBack(path: string): Promise<number> {
    const { facts } = await readSegment(path);
    const events = facts.filter((fact) => fact.kind === 'event');
    let lacking = 0;
    for (let from = 0; from < events.length; from += ASKED_MAX) {
      const asked = events.slice(from, from + ASKED_MAX);
      const known = await this.ports.knownRequests(asked.map(({ event }) => event.requestId));
      const missing = asked.filter(({ event }) => !known.has(event.requestId));
      this.journal.book.take(path, missing, true);
      lacking += missing.length;
    }
    return lacking;
  }
}

function partition<T>(values: Iterable<T>, isFirst: (value: T) => boolean): [Set<T>, Set<T>] {
  const [yes, no] = [new Set<T>(), new Set<T>()];
  for (const value of values) (isFirst(value) ? yes : no).add(value);
  return [yes, no];
}
