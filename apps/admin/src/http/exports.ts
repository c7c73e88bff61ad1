import { Readable } from 'node:stream';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { DataSource } from 'typeorm';
import { ADMIN_CONFIG, type AdminConfig } from '../admin.config.js';
import {
  EXPORT_CONTENT_TYPES,
  acceptedFormat,
  exportHead,
  exportLines,
  type ExportFormat,
  type ExportShape,
} from './export-format.js';
import { Problem } from './problem.js';
import { SnapshotCursor } from './snapshot-cursor.js';

/** Each has a connection to Postgres and a snapshot, which keeps vacuum waiting. */
const EXPORTS_MAX = 2;
const RETRY_AFTER_S = '10';
const EXPORT_TIMEOUT_MS = 60 * 60_000;
/** A client that takes nothing for so long may as well be gone. */
const CLIENT_STALL_MS = 120_000;
const LINES_AT_ONCE = 200;

/** One export: which rows, and how each is shown. */
export interface Export<Row, Item> {
  /** The file's name, without an extension. */
  readonly name: string;
  /** As a query builder gives it. Its order is that of the file. */
  readonly query: readonly [sql: string, values: readonly unknown[]];
  readonly toItem: (row: Row) => Item;
  readonly shape: ExportShape<Item>;
}

/**
 * Sends whole lists as files. Rows go from a cursor of Postgres to the client as fast as the client takes them, so the
 * size of a file is no matter for memory, and all are of one moment. Whatever fails once the answer has begun cuts the
 * connection: a file that ends well is whole.
 */
@Injectable()
export class Exports {
  private readonly logger = new Logger(Exports.name);
  private running = 0;

  constructor(
    @Inject(ADMIN_CONFIG) private readonly config: AdminConfig,
    private readonly dataSource: DataSource,
  ) {}

  /**
   * Answers with the file, to HEAD with its headers alone.
   * @param asked the format; without one the `Accept` header decides.
   * @throws Problem 429 while too many exports run; the driver's error if the query fails before its first row.
   */
  async send<Row, Item>(
    reply: FastifyReply,
    asked: ExportFormat | undefined,
    wanted: Export<Row, Item>,
  ): Promise<void> {
    const format = asked ?? acceptedFormat(reply.request.headers.accept);
    if (reply.request.method === 'HEAD') {
      sendFile(reply, { name: wanted.name, format }, Readable.from([]));
      return;
    }
    const { cursor, end } = this.begin<Row>(reply);
    try {
      const rows = await cursor.open(...wanted.query);
      const chunks = chunksOf(rows, { ...wanted, format }, () => reply.raw.destroy());
      sendFile(reply, { name: wanted.name, format }, Readable.from(this.watch(reply, chunks, end)));
    } catch (error) {
      await end();
      // A client that has left ended the query itself: there is nobody to answer.
      if (!reply.raw.destroyed) throw error;
    }
  }

  /** Takes one of the few places; `end` gives it back, and runs by itself once the answer is over. */
  private begin<Row>(reply: FastifyReply): { cursor: SnapshotCursor<Row>; end: () => Promise<void> } {
    if (this.running >= EXPORTS_MAX) {
      throw new Problem(
        'too_many_exports',
        `At most ${EXPORTS_MAX} exports run at a time. Try again when one of them has ended.`,
        { headers: { 'retry-after': RETRY_AFTER_S } },
      );
    }
    this.running += 1;
    const cursor = new SnapshotCursor<Row>(this.config.DATABASE_URL, (pid) => this.cancel(pid));
    const timer = setTimeout(() => reply.raw.destroy(), EXPORT_TIMEOUT_MS);
    let ending: Promise<void> | null = null;
    const end = (): Promise<void> => {
      clearTimeout(timer);
      ending ??= cursor.close().finally(() => {
        this.running -= 1;
      });
      return ending;
    };
    reply.raw.once('close', () => void end());
    return { cursor, end };
  }

  private async *watch(
    reply: FastifyReply,
    chunks: AsyncIterable<Buffer>,
    end: () => Promise<void>,
  ): AsyncGenerator<Buffer> {
    try {
      yield* chunks;
    } catch (error) {
      if (!reply.raw.destroyed) {
        const reason = error instanceof Error ? error.message : String(error);
        this.logger.error(`the export of request ${reply.request.id} failed and was cut: ${reason}`);
      }
      throw error;
    } finally {
      await end();
    }
  }

  /** Postgres would otherwise finish what it is doing before it sees that nobody reads. */
  private async cancel(pid: number): Promise<void> {
    await this.dataSource.query('SELECT pg_cancel_backend($1)', [pid]);
  }
}

/** Lines in chunks, each made when the one before is on its way. `stall` is called where the client does not take one. */
async function* chunksOf<Row, Item>(
  rows: AsyncIterable<Row>,
  { format, shape, toItem }: Export<Row, Item> & { readonly format: ExportFormat },
  stall: () => void,
): AsyncGenerator<Buffer> {
  let items: Item[] = [];
  let head = exportHead(format, shape);
  for await (const row of rows) {
    items.push(toItem(row));
    if (items.length < LINES_AT_ONCE) continue;
    const timer = setTimeout(stall, CLIENT_STALL_MS);
    try {
      yield Buffer.from(head + exportLines(format, shape, items));
    } finally {
      clearTimeout(timer);
    }
    head = '';
    items = [];
  }
  yield Buffer.from(head + exportLines(format, shape, items));
}

function sendFile(
  reply: FastifyReply,
  file: { readonly name: string; readonly format: ExportFormat },
  body: Readable,
): void {
  void reply
    .headers({
      'content-type': EXPORT_CONTENT_TYPES[file.format],
      'content-disposition': `attachment; filename="${file.name}.${file.format}"`,
      vary: 'accept',
    })
    .send(body);
}
