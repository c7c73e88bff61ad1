import { usageJobVersion, type UsageEvent } from '@tollgate/contracts';
import type { Logger } from '@tollgate/runtime';
import { createFolder, type OwnedFolder } from './journal-folder.js';
import { JournalWriter } from './journal-writer.js';
import { SegmentBook, type BookOptions } from './segment-book.js';

export interface JournalOptions extends BookOptions {
  /** The folder that all gateways of a machine keep their folders in. */
  readonly root: string;
  readonly logger: Logger;
}

/**
 * The second copy of what requests used, on this machine's disk: which requests begun, what they would cost if they ended
 * now, what they did cost. The first copy is in the queue, or while a request runs with its hold. It is kept until the
 * ledger has had it for a while; JournalCheck sees to that.
 */
export class Journal {
  private constructor(
    readonly root: string,
    readonly folder: OwnedFolder,
    readonly book: SegmentBook,
    private readonly writer: JournalWriter,
  ) {}

  /**
   * Begins a journal in a folder of its own.
   * @throws JournalFolderError if there can be none.
   */
  static async open(options: JournalOptions): Promise<Journal> {
    const { root, logger } = options;
    const folder = await createFolder(root);
    const book = new SegmentBook(options);
    const writer = new JournalWriter({
      folder: folder.path,
      logger,
      onWritten: ({ path, sizeBytes }, facts) => {
        book.take(path, facts);
        book.sized(path, sizeBytes);
      },
      onSealed: (path) => book.seal(path),
    });
    await writer.open();
    return new Journal(root, folder, book, writer);
  }

  /** Whether a request may be admitted: its event would find a place here. */
  get isWritable(): boolean {
    return this.writer.isWritable;
  }

  /** Whether the queue may get more; what it may not waits here, for the check. */
  get mayQueue(): boolean {
    return this.book.mayQueue;
  }

  /** A request has its hold. Nobody waits for the line. */
  begun({ requestId, accountId }: Pick<UsageEvent, 'requestId' | 'accountId'>): void {
    this.writer.append({ kind: 'begun', requestId, accountId, at: new Date().toISOString() });
  }

  /** What a running request would cost if it ended now. Nobody waits for the line. */
  checkpoint(event: UsageEvent): void {
    this.writer.append({ kind: 'checkpoint', contract: usageJobVersion([event]), event });
  }

  /** Requests are over: answers true once their events are on the disk, false if they cannot be brought there. */
  append(events: readonly UsageEvent[]): Promise<boolean> {
    return this.writer.appendDurably(
      events.map((event) => ({ kind: 'event', contract: usageJobVersion([event]), event })),
    );
  }

  /** The queue took these. */
  queued(events: readonly Pick<UsageEvent, 'requestId'>[]): void {
    this.book.queued(events.map(({ requestId }) => requestId));
  }

  /** The ledger took these. */
  settled(events: readonly Pick<UsageEvent, 'requestId'>[]): void {
    this.book.known(events.map(({ requestId }) => requestId));
  }

  /** These stay here until the check publishes them. */
  left(events: readonly Pick<UsageEvent, 'requestId'>[]): void {
    this.book.left(events.map(({ requestId }) => requestId));
  }

  /** Writes what waits, and gives the folder up: whoever looks next adopts it. */
  async close(): Promise<void> {
    await this.writer.close();
    await this.folder.release();
  }
}
