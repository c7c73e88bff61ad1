import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@tollgate/runtime';
import { segmentPath } from './journal-folder.js';
import { encodeLine, type JournalFact } from './journal-line.js';
import { SegmentFile } from './segment-file.js';

/** How long events wait for others to share an fsync with; while the disk works they wait for each other anyway. */
const GROUP_WINDOW_MS = 1;
/** How long lines wait that nobody waits for: what they are for takes seconds. */
const LAZY_WINDOW_MS = 100;
const SEGMENT_BYTES_MAX = 8 * 1_024 * 1_024;
/** How often a journal that could not be written is tried again. */
const RETRY_DELAY_MS = 1_000;
/** An fsync that takes longer counts as failed for those who wait for it; the disk hangs. */
const COMMIT_TIMEOUT_MS = 5_000;
/** While an fsync takes longer nothing is handed to the system at once: that too could wait then, and with it every request. */
const BUSY_DISK_MS = 500;
/** What the time of an fsync is counted in. A process that was frozen counts one: it was not the disk that took so long. */
const TICK_MS = 100;

/** Written and removed again to see whether a full disk has room. */
const PROBE = 'probe';
const PROBE_BYTES = 256 * 1_024;

/** What the writer needs of the journal around it. */
export interface WriterPorts {
  /** The folder of this process. */
  readonly folder: string;
  readonly logger: Logger;
  /** Facts that are on the disk now. */
  readonly onWritten: (
    segment: Pick<SegmentFile, 'path' | 'sizeBytes'>,
    facts: readonly JournalFact[],
  ) => void;
  /** The segment gets no more lines. */
  readonly onSealed: (path: string) => void;
}

/** A line that is not on the disk yet. */
interface Waiting {
  readonly fact: JournalFact;
  readonly line: string;
  /** The segment that the system has it for. */
  segment: SegmentFile | null;
}

/**
 * Appends lines to segments. Events are handed to the system at once, so that a process that is killed leaves them; what survives
 * a power cut takes an fsync, one for each group. A write or an fsync that fails may have left anything on the disk, and the next
 * fsync of the same file may report success without having written it: so the segment is given up and the group goes into a
 * fresh one. Only when that fails too is the journal not writable.
 */
export class JournalWriter {
  private waiting: Waiting[] = [];
  private acknowledge: ((isWritten: boolean) => void)[] = [];
  private segment: SegmentFile | null = null;
  /** The open segment has lines that somebody counts on. */
  private isUsed = false;
  private nextNumber = 1;
  private timer: NodeJS.Timeout | null = null;
  private isTimerUrgent = false;
  private committing: Promise<void> | null = null;
  /** For how many ticks the group has been on its way to the disk; null: there is none. */
  private committingTicks: number | null = null;
  private ticker: NodeJS.Timeout | undefined;
  private failed = false;
  private closed = false;

  constructor(private readonly ports: WriterPorts) {}

  /** Whether lines are taken. */
  get isWritable(): boolean {
    if (this.failed || this.closed) return false;
    return !this.hasCommittedFor(COMMIT_TIMEOUT_MS);
  }

  /** Makes the first segment. */
  async open(): Promise<void> {
    await this.startSegment();
    this.ticker = setInterval(() => {
      if (this.committingTicks !== null) this.committingTicks += 1;
    }, TICK_MS).unref();
  }

  /** Appends what nobody waits for. It is dropped while the journal is not writable. */
  append(fact: JournalFact): void {
    if (!this.isWritable) return;
    this.waiting.push({ fact, line: encodeLine(fact), segment: null });
    this.schedule(LAZY_WINDOW_MS);
  }

  /**
   * Appends facts and answers whether they are on the disk: false where the journal cannot be written. When this returns the system
   * has them, unless the disk is busy: they outlive the process.
   */
  async appendDurably(facts: readonly JournalFact[]): Promise<boolean> {
    if (!this.isWritable) return false;
    if (facts.length === 0) return true;
    for (const fact of facts) this.waiting.push({ fact, line: encodeLine(fact), segment: null });
    this.handOver();
    this.schedule(GROUP_WINDOW_MS);
    return new Promise((resolve) => {
      const late = setTimeout(() => resolve(false), COMMIT_TIMEOUT_MS);
      this.acknowledge.push((isWritten) => {
        clearTimeout(late);
        resolve(isWritten);
      });
    });
  }

  /** Writes what waits, and ends. */
  async close(): Promise<void> {
    this.closed = true;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    clearInterval(this.ticker);
    await this.committing;
    if (this.waiting.length > 0 && !this.failed) await this.commit();
    await this.segment?.close();
    this.segment = null;
  }

  /** Gives the system what waits, where it will hardly have to wait for the disk. */
  private handOver(): void {
    const { segment } = this;
    if (segment === null || this.hasCommittedFor(BUSY_DISK_MS)) return;
    try {
      writeLines(segment, this.waiting);
    } catch (error) {
      this.ports.logger.error({ err: error }, 'a line of the journal was not taken');
    }
  }

  private hasCommittedFor(ms: number): boolean {
    return this.committingTicks !== null && this.committingTicks >= ms / TICK_MS;
  }

  private schedule(windowMs: number): void {
    if (this.committing !== null || this.closed) return;
    const isUrgent = windowMs === GROUP_WINDOW_MS;
    if (this.timer !== null) {
      if (!isUrgent || this.isTimerUrgent) return;
      clearTimeout(this.timer);
    }
    this.isTimerUrgent = isUrgent;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.committing = this.commit().finally(() => {
        this.committing = null;
        if (this.waiting.length > 0) {
          this.schedule(this.acknowledge.length > 0 ? GROUP_WINDOW_MS : LAZY_WINDOW_MS);
        }
      });
    }, windowMs);
  }

  private async commit(): Promise<void> {
    const [group, acknowledge] = [this.waiting, this.acknowledge];
    this.waiting = [];
    this.acknowledge = [];
    this.committingTicks = 0;
    const isWritten = await this.writeOrMove(group);
    this.committingTicks = null;
    for (const answer of acknowledge) answer(isWritten);
    if (isWritten) return;
    this.failed = true;
    void this.recover();
  }

  /** Writes a group, into a fresh segment if the open one fails. */
  private async writeOrMove(group: readonly Waiting[]): Promise<boolean> {
    try {
      await this.write(await this.roomySegment(), group);
      return true;
    } catch (error) {
      this.ports.logger.error({ err: error }, 'a segment of the journal failed, a new one is begun');
    }
    try {
      await this.write(await this.startSegment(), group);
      return true;
    } catch (error) {
      this.ports.logger.error({ err: error }, 'the journal cannot be written');
      return false;
    }
  }

  private async write(segment: SegmentFile, group: readonly Waiting[]): Promise<void> {
    writeLines(segment, group);
    await segment.sync();
    this.isUsed = true;
    this.ports.onWritten(
      segment,
      group.map(({ fact }) => fact),
    );
  }

  /** The open segment; a fresh one where it is full. */
  private async roomySegment(): Promise<SegmentFile> {
    if (this.segment === null) return this.startSegment();
    const { sizeBytes, isBroken } = this.segment;
    return sizeBytes < SEGMENT_BYTES_MAX && !isBroken ? this.segment : this.startSegment();
  }

  /** Lines that the system has for the segment before, and that are not on the disk, are written into the new one again. */
  private async startSegment(): Promise<SegmentFile> {
    const segment = await SegmentFile.create(segmentPath(this.ports.folder, this.nextNumber++));
    await this.sealSegment(segment);
    return segment;
  }

  private async sealSegment(next: SegmentFile | null): Promise<void> {
    const [before, wasUsed] = [this.segment, this.isUsed];
    this.segment = next;
    this.isUsed = false;
    if (before === null) return;
    await before.close().catch(() => undefined);
    if (wasUsed) this.ports.onSealed(before.path);
    else await rm(before.path, { force: true }).catch(() => undefined);
  }

  /** Tries until there is room again. What was not written meanwhile has been settled without the journal. */
  private async recover(): Promise<void> {
    while (!this.closed) {
      await delay(RETRY_DELAY_MS, undefined, { ref: false });
      try {
        await this.sealSegment(null);
        await this.probe();
        await this.startSegment();
        this.failed = false;
        this.ports.logger.info('the journal can be written again');
        return;
      } catch (error) {
        this.ports.logger.debug({ err: error }, 'the journal still cannot be written');
      }
    }
  }

  /** @throws the error of the system while there is not even room for a little. */
  private async probe(): Promise<void> {
    const path = join(this.ports.folder, PROBE);
    await rm(path, { force: true });
    const probe = await SegmentFile.create(path);
    try {
      probe.write(Buffer.alloc(PROBE_BYTES));
      await probe.sync();
    } finally {
      await probe.close();
      await rm(path, { force: true });
    }
  }
}

/** Gives the system those lines that it does not have for this segment yet, in their order. */
function writeLines(segment: SegmentFile, lines: readonly Waiting[]): void {
  const missing = lines.filter((one) => one.segment !== segment);
  if (missing.length === 0) return;
  segment.write(Buffer.from(missing.map(({ line }) => line).join('')));
  for (const one of missing) one.segment = segment;
}
