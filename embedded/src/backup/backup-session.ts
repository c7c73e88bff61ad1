import { randomBytes } from 'node:crypto';
import { Client, DatabaseError } from 'pg';
import { z } from 'zod';
import { LaunchError } from '../launch-error.js';
import { codeOf } from '../thrown.js';

/** How a backup ended: what recovery needs beside the files. */
export interface BackupEnd {
  /** Content of the file `backup_label`. */
  readonly label: string;
  /** Names of the files of the write-ahead log from the backup's start to its end, in order. */
  readonly walFiles: readonly string[];
}

const startRow = z.tuple([z.object({ lsn: z.string() })]);
const stopRow = z.tuple([z.object({ lsn: z.string(), label: z.string(), tablespaces: z.string() })]);

/**
 * The server's side of a backup of its files: Postgres manual, "Making a Base Backup Using the Low Level API". A
 * temporary replication slot keeps the write-ahead log. Slot and backup mode end with the connection, however it ends.
 */
export class BackupSession {
  private startLsn = '';
  /** When backup mode ended, RFC 3339 in UTC; null before. */
  completedAt: string | null = null;

  /** The server ended the connection, and with it the backup. */
  isLost = false;

  private constructor(private readonly client: Client) {}

  /** Starts backup mode. From here on the files may be copied. */
  static async start(ownerUrl: string): Promise<BackupSession> {
    const client = new Client({
      connectionString: ownerUrl,
      application_name: 'tollgate-backup',
      keepAlive: true,
    });
    const session = new BackupSession(client);
    // A lost connection also fails the next query; unheard, the event would end the process instead.
    client.on('error', () => (session.isLost = true));
    await connect(client);
    try {
      await client.query('SELECT pg_create_physical_replication_slot($1, true, true)', [
        `tollgate_backup_${randomBytes(6).toString('hex')}`,
      ]);
      const { rows } = await client.query(`SELECT pg_backup_start('tollgate', true)::text AS lsn`);
      session.startLsn = startRow.parse(rows)[0].lsn;
      return session;
    } catch (error) {
      await client.end();
      throw session.isLost || isShutdown(error) ? serverLost(error) : error;
    }
  }

  /** Names of the migrations that the database has had, oldest first. */
  async migrations(): Promise<string[]> {
    const { rows } = await this.client.query('SELECT name FROM tollgate.schema_migration ORDER BY id');
    return z
      .array(z.object({ name: z.string() }))
      .parse(rows)
      .map(({ name }) => name);
  }

  /** Ends backup mode. Everything committed up to now is in the backup, once the named log files are in it too. */
  async stop(): Promise<BackupEnd> {
    const { rows } = await this.client.query(
      'SELECT lsn::text, labelfile AS label, spcmapfile AS tablespaces FROM pg_backup_stop(false)',
    );
    const [{ lsn, label, tablespaces }] = stopRow.parse(rows);
    this.completedAt = new Date().toISOString();
    if (tablespaces.trim() !== '') throw new Error('a cluster with tablespaces is not backed up');
    return { label, walFiles: await this.walFiles(lsn) };
  }

  /** Gives up or is done: the server may recycle its log. */
  async end(): Promise<void> {
    await this.client.end();
  }

  /** One position behind each segment's beginning, since a position on a border counts as the segment before. */
  private async walFiles(stopLsn: string): Promise<string[]> {
    const { rows } = await this.client.query(
      `WITH segment AS (SELECT setting::numeric AS bytes FROM pg_settings WHERE name = 'wal_segment_size')
       SELECT pg_walfile_name('0/0'::pg_lsn + n * bytes + 1) AS name
         FROM segment,
              generate_series(div($1::pg_lsn - '0/0'::pg_lsn, bytes),
                              div($2::pg_lsn - '0/0'::pg_lsn - 1, bytes)) AS n
        ORDER BY n`,
      [this.startLsn, stopLsn],
    );
    return z
      .array(z.object({ name: z.string() }))
      .parse(rows)
      .map(({ name }) => name);
  }
}

async function connect(client: Client): Promise<void> {
  try {
    await client.connect();
  } catch (error) {
    // Whoever asks has just found the server running: unless it says why not itself, it went away since.
    if (error instanceof DatabaseError && !isShutdown(error)) throw error;
    throw serverLost(error);
  }
}

/** What a backup says whose server went away. */
export function serverLost(cause: unknown): LaunchError {
  return new LaunchError('Postgres ended while it was backed up. Nothing was written. Try again.', { cause });
}

/** SQLSTATE 57P01 to 57P03: the server is told to stop; a query hears of it before the connection ends. */
function isShutdown(error: unknown): boolean {
  return /^57P0[123]$/.test(codeOf(error) ?? '');
}
