import type { Logger } from '@tollgate/runtime';
import { rm } from 'node:fs/promises';
import { adoptFolders, segmentsIn } from './journal-folder.js';
import type { Journal } from './journal.js';
import type { JournalFact, JournalledEvent } from './journal-line.js';
import { readSegment } from './segment-reader.js';

/** A request whose gateway died while it ran. */
export interface AbandonedRequest {
  readonly requestId: string;
  readonly accountId: string;
  /** What it would have cost had it ended at the last checkpoint, as it was written; null: nothing came from the upstream. */
  readonly checkpoint: JournalledEvent | null;
  /** The version of the usage job that the checkpoint was written for. */
  readonly contract: number;
}

/** Takes over the folders of processes that are no more. */
export class Adoption {
  /** Requests of dead processes that have no event. */
  readonly abandoned = new Map<string, AbandonedRequest>();
  /** Lines that were torn or altered, since the process began. */
  damagedLines = 0;
  /** Adopted folders, with the segments of each that are still there. */
  private readonly folders = new Map<string, Set<string>>();
  private unread: string[] = [];

  constructor(
    private readonly journal: Journal,
    private readonly logger: Logger,
  ) {}

  /** Adopted folders that are still there. */
  get folderCount(): number {
    return this.folders.size + this.unread.length;
  }

  /** Adopts what has no owner. A folder that cannot be read now stays adopted and is tried again. */
  async run(): Promise<void> {
    this.unread.push(...(await adoptFolders(this.journal.root, this.journal.folder)));
    const folders = this.unread;
    this.unread = [];
    for (const folder of folders) {
      try {
        await this.read(folder);
      } catch (error) {
        this.unread.push(folder);
        this.logger.error({ err: error, folder }, 'an adopted journal cannot be read');
      }
    }
  }

  /** A segment was deleted; with its last one an adopted folder goes. */
  async forget(path: string): Promise<void> {
    for (const [folder, segments] of this.folders) {
      if (!segments.delete(path) || segments.size > 0) continue;
      this.folders.delete(folder);
      await rm(folder, { recursive: true, force: true });
    }
  }

  private async read(folder: string): Promise<void> {
    const { book } = this.journal;
    const running = new Map<string, AbandonedRequest>();
    const counts = { segments: 0, events: 0, damages: 0, foreignLines: 0 };
    const paths = await segmentsIn(folder);
    for (const path of paths) {
      const { facts, damages, foreignLines, bytes } = await readSegment(path);
      for (const fact of facts) follow(running, fact);
      book.take(path, facts, true);
      book.sized(path, bytes);
      book.seal(path);
      if (foreignLines > 0) book.keepForeign(path);
      counts.segments += 1;
      counts.events += facts.filter(({ kind }) => kind === 'event').length;
      counts.damages += damages;
      counts.foreignLines += foreignLines;
    }
    for (const [requestId, request] of running) this.abandoned.set(requestId, request);
    if (paths.length > 0) this.folders.set(folder, new Set(paths));
    else await rm(folder, { recursive: true, force: true });
    this.damagedLines += counts.damages;
    this.report(folder, { ...counts, abandonedRequests: running.size });
  }

  private report(folder: string, counts: AdoptedCounts): void {
    const fields = { folder, ...counts };
    this.logger.info(fields, 'adopted a journal');
    if (counts.damages > 0) this.logger.error(fields, 'lines of an adopted journal are damaged');
    if (counts.foreignLines > 0) {
      this.logger.error(fields, 'lines of a later version wait for a gateway that knows it');
    }
  }
}

interface AdoptedCounts {
  readonly segments: number;
  readonly events: number;
  readonly damages: number;
  readonly foreignLines: number;
  readonly abandonedRequests: number;
}

/** Keeps the latest checkpoint of each request that has no event. */
function follow(running: Map<string, AbandonedRequest>, fact: JournalFact): void {
  if (fact.kind === 'event') {
    running.delete(fact.event.requestId);
  } else if (fact.kind === 'checkpoint') {
    const { requestId, accountId } = fact.event;
    running.set(requestId, { requestId, accountId, checkpoint: fact.event, contract: fact.contract });
  } else if (!running.has(fact.requestId)) {
    const { requestId, accountId } = fact;
    running.set(requestId, { requestId, accountId, checkpoint: null, contract: 0 });
  }
}
