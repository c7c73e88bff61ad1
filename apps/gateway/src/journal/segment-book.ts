import { scaledMs } from '@tollgate/runtime';
import type { JournalFact } from './journal-line.js';

/** How long an event may be unknown to Postgres before it is published again; twice as long each further time. */
const REPUBLISH_AFTER_MS = scaledMs(30_000);
const REPUBLISH_DOUBLINGS_MAX = 5;

/** Events of this process in the queue, at most; more wait in the journal, so that an outage of billing fills no Redis. */
const QUEUED_EVENTS_MAX = 100_000;

/** An event that Postgres is not known to have. */
interface UnknownEvent {
  readonly segment: Segment;
  /** When this process took it. */
  readonly takenAtMs: number;
  timesQueued: number;
  /** When the check publishes it. */
  dueAtMs: number;
}

/** What differs between installations and tests. */
export interface BookOptions {
  /** Milliseconds of a clock that never goes back. */
  readonly nowMs?: () => number;
  readonly republishAfterMs?: number;
  readonly queuedEventsMax?: number;
}

/** A file of the journal, and what still needs it. */
export interface Segment {
  readonly path: string;
  bytes: number;
  /** It gets no more lines. */
  isSealed: boolean;
  /** Events in it that Postgres is not known to have. */
  unknownEvents: number;
  /** Requests without an event whose latest line is in it. */
  runningRequests: number;
  /** It has lines that only another build can read: never deleted here. */
  hasForeignLines: boolean;
  /** Since when Postgres has all its events. */
  knownSinceMs: number | null;
}

/** Says for each segment what keeps it: events that Postgres does not know yet, and requests that still run. */
export class SegmentBook {
  private readonly segments = new Map<string, Segment>();
  private readonly unknown = new Map<string, UnknownEvent>();
  /** The segment with the latest line of each request that has no event yet. */
  private readonly running = new Map<string, Segment>();
  private inQueue = 0;

  private readonly nowMs: () => number;
  private readonly republishAfterMs: number;
  private readonly queuedEventsMax: number;

  constructor(options: BookOptions = {}) {
    this.nowMs = options.nowMs ?? (() => performance.now());
    this.republishAfterMs = options.republishAfterMs ?? REPUBLISH_AFTER_MS;
    this.queuedEventsMax = options.queuedEventsMax ?? QUEUED_EVENTS_MAX;
  }

  /** How many events Postgres is not known to have. */
  get unknownEvents(): number {
    return this.unknown.size;
  }

  /** Whether the queue may get more of them. */
  get mayQueue(): boolean {
    return this.inQueue < this.queuedEventsMax;
  }

  /** How long this process has had the oldest of them, in milliseconds; 0 without one. */
  get oldestUnknownMs(): number {
    // Events stay in the order in which they were taken.
    const [oldest] = this.unknown.values();
    return oldest === undefined ? 0 : this.nowMs() - oldest.takenAtMs;
  }

  /** How many segments there are. */
  get segmentCount(): number {
    return this.segments.size;
  }

  /** Bytes of all segments. */
  get bytes(): number {
    return [...this.segments.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Requests of which the journal has a line, but no event. */
  get runningRequests(): number {
    return this.running.size;
  }

  /** Takes facts that are in a segment now. Events that nobody is bringing to the queue are due at once. */
  take(path: string, facts: Iterable<JournalFact>, isAdopted = false): void {
    const segment = this.segmentOf(path);
    const dueAtMs = this.nowMs() + (isAdopted ? 0 : this.republishAfterMs);
    for (const fact of facts) {
      if (fact.kind === 'event') this.takeEvent(segment, fact.event.requestId, dueAtMs);
      else this.takeRunning(segment, fact.kind === 'begun' ? fact.requestId : fact.event.requestId);
    }
  }

  /** The segment has so many bytes now. */
  sized(path: string, bytes: number): void {
    this.segmentOf(path).bytes = bytes;
  }

  /** The segment gets no more lines. */
  seal(path: string): void {
    this.segmentOf(path).isSealed = true;
  }

  /** A segment that another build may read better. */
  keepForeign(path: string): void {
    this.segmentOf(path).hasForeignLines = true;
  }

  /** The queue has these events. */
  queued(requestIds: readonly string[]): void {
    for (const requestId of requestIds) {
      const event = this.unknown.get(requestId);
      if (event === undefined) continue;
      if (event.timesQueued === 0) this.inQueue += 1;
      const doublings = Math.min(event.timesQueued, REPUBLISH_DOUBLINGS_MAX);
      event.dueAtMs = this.nowMs() + this.republishAfterMs * 2 ** doublings;
      event.timesQueued += 1;
    }
  }

  /** Nobody brings these to the queue: the next check does. */
  left(requestIds: readonly string[]): void {
    for (const requestId of requestIds) {
      const event = this.unknown.get(requestId);
      if (event !== undefined) event.dueAtMs = this.nowMs();
    }
  }

  /** Postgres has the events of these requests, or they need none any more. */
  known(requestIds: Iterable<string>): void {
    for (const requestId of requestIds) {
      this.endRunning(requestId);
      const event = this.unknown.get(requestId);
      if (event === undefined) continue;
      this.unknown.delete(requestId);
      event.segment.unknownEvents -= 1;
      if (event.timesQueued > 0) this.inQueue -= 1;
    }
  }

  /** The events that Postgres has to be asked about. */
  unknownIds(): string[] {
    return [...this.unknown.keys()];
  }

  /**
   * Events to be published now, by the path of their segment: those that nobody has added to the queue, as far as it may get
   * more, and those added so long ago that it must have lost them.
   */
  due(): Map<string, Set<string>> {
    const nowMs = this.nowMs();
    let room = this.queuedEventsMax - this.inQueue;
    return this.select(({ dueAtMs, timesQueued }) => {
      if (dueAtMs > nowMs) return false;
      if (timesQueued > 0) return true;
      room -= 1;
      return room >= 0;
    });
  }

  /** All events that Postgres is not known to have, by the path of their segment. */
  unknownBySegment(): Map<string, Set<string>> {
    return this.select(() => true);
  }

  /** Whether the event was added to the queue before. */
  wasQueued(requestId: string): boolean {
    return (this.unknown.get(requestId)?.timesQueued ?? 0) > 0;
  }

  /** Segments that Postgres knows everything of, for at least so many milliseconds. */
  settledFor(ageMs: number): Segment[] {
    const nowMs = this.nowMs();
    return [...this.segments.values()].filter((segment) => {
      const isNeeded = segment.unknownEvents > 0 || segment.runningRequests > 0 || !segment.isSealed;
      if (isNeeded || segment.hasForeignLines) segment.knownSinceMs = null;
      else segment.knownSinceMs ??= nowMs;
      return segment.knownSinceMs !== null && nowMs - segment.knownSinceMs >= ageMs;
    });
  }

  /** All segments there are. */
  paths(): string[] {
    return [...this.segments.keys()];
  }

  /** The segment is deleted. */
  forget(path: string): void {
    this.segments.delete(path);
  }

  private select(isWanted: (event: UnknownEvent) => boolean): Map<string, Set<string>> {
    const bySegment = new Map<string, Set<string>>();
    for (const [requestId, event] of this.unknown) {
      if (!isWanted(event)) continue;
      const ids = bySegment.get(event.segment.path) ?? new Set();
      bySegment.set(event.segment.path, ids.add(requestId));
    }
    return bySegment;
  }

  private segmentOf(path: string): Segment {
    let segment = this.segments.get(path);
    if (segment === undefined) {
      segment = {
        path,
        bytes: 0,
        isSealed: false,
        unknownEvents: 0,
        runningRequests: 0,
        hasForeignLines: false,
        knownSinceMs: null,
      };
      this.segments.set(path, segment);
    }
    return segment;
  }

  private takeEvent(segment: Segment, requestId: string, dueAtMs: number): void {
    this.endRunning(requestId);
    // A line that was written again, after an error, is the same event: the first copy is kept until it is known.
    if (this.unknown.has(requestId)) return;
    this.unknown.set(requestId, { segment, takenAtMs: this.nowMs(), timesQueued: 0, dueAtMs });
    segment.unknownEvents += 1;
  }

  private takeRunning(segment: Segment, requestId: string): void {
    if (this.unknown.has(requestId)) return;
    this.endRunning(requestId);
    this.running.set(requestId, segment);
    segment.runningRequests += 1;
  }

  private endRunning(requestId: string): void {
    const segment = this.running.get(requestId);
    if (segment === undefined) return;
    this.running.delete(requestId);
    segment.runningRequests -= 1;
  }
}
