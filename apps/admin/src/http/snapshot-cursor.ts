import { finished } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { RowStream } from './row-stream.js';

const ROWS_AT_ONCE = 500;
/** The server may have to sort or to search a whole table before it has the next rows. */
const FETCH_TIMEOUT_MS = 5 * 60_000;
const END_TIMEOUT_MS = 1_000;

/**
 * One query on a connection of its own, read a few hundred rows at a time: no more are fetched than are taken. All rows
 * are of the moment when it began.
 */
export class SnapshotCursor<Row> {
  private readonly client: Client;
  private pid: number | null = null;
  private stream: RowStream | null = null;
  private closing: Promise<void> | null = null;

  /** @param cancel ends what the backend with this process id is doing, on another connection. */
  constructor(
    url: string,
    private readonly cancel: (pid: number) => Promise<void>,
  ) {
    this.client = new Client({
      connectionString: url,
      application_name: 'admin-export',
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
    });
    // A lost connection fails the query too; unheard, the event would end the process instead.
    this.client.on('error', () => undefined);
    this.client.once('end', () => this.stream?.lose());
  }

  /** Runs the query; ready once the first rows are there. @throws the driver's error, also after `close`. */
  async open(sql: string, values: readonly unknown[]): Promise<AsyncIterable<Row>> {
    await this.client.connect();
    const backend = await this.client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    this.pid = backend.rows[0]?.pid ?? null;
    await this.client.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = ${FETCH_TIMEOUT_MS}`,
    );
    const stream = this.client.query(new RowStream(sql, [...values], { batchSize: ROWS_AT_ONCE }));
    this.stream = stream;
    stream.on('error', () => undefined);
    const rows: AsyncIterator<Row> = stream[Symbol.asyncIterator]();
    return rowsFrom(await rows.next(), rows);
  }

  /** Ends the query, wherever it is, and the connection. Never throws; once is enough. */
  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    const { stream, pid } = this;
    if (stream !== null && !stream.readableEnded) {
      if (pid !== null) await this.cancel(pid).catch(() => undefined);
      stream.destroy();
      await Promise.race([finished(stream), delay(END_TIMEOUT_MS)]).catch(() => undefined);
    }
    await this.client.end().catch(() => undefined);
  }
}

async function* rowsFrom<Row>(first: IteratorResult<Row>, rest: AsyncIterator<Row>): AsyncGenerator<Row> {
  for (let next = first; next.done !== true; next = await rest.next()) yield next.value;
}
