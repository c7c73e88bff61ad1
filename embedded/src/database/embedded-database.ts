import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import type { Secrets } from '../data-folder/secrets.js';
import { startPostgresServer, type PostgresServer } from '../postgres/postgres-server.js';
import { restartDelayMs } from '../processes/restart-delay.js';
import { messageOf } from '../thrown.js';

const DATABASE = 'tollgate';
const OWNER_ROLE = 'tollgate_owner';
const APP_ROLE = 'tollgate_app';

/** The embedded Postgres with the installation's database. It is started again should it end by itself. */
export class EmbeddedDatabase {
  private readonly stopping = new AbortController();
  private watching: Promise<void> = Promise.resolve();

  private constructor(
    private readonly options: EmbeddedDatabaseOptions,
    private server: PostgresServer,
  ) {}

  /** Starts Postgres and makes the database. @throws PostgresError */
  static async start(options: EmbeddedDatabaseOptions): Promise<EmbeddedDatabase> {
    const server = await startServer(options, options.port);
    const database = new EmbeddedDatabase(options, server);
    try {
      await ensureDatabase(server.url('postgres'));
    } catch (error) {
      await server.stop();
      throw error;
    }
    database.watching = database.watch();
    return database;
  }

  /** True if a Postgres that a killed run left behind was taken over. */
  get adopted(): boolean {
    return this.server.adopted;
  }

  get port(): number {
    return this.server.port;
  }

  get ownerUrl(): string {
    return this.server.url(DATABASE);
  }

  get appUrl(): string {
    const url = new URL(this.ownerUrl);
    url.username = APP_ROLE;
    url.password = this.options.secrets.appPassword;
    return url.href;
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.server.stop();
    await this.watching;
  }

  /** Keeps it running, on the port that the other processes know. */
  private async watch(): Promise<void> {
    const { port } = this.server;
    const { signal } = this.stopping;
    for (let failures = 1; ; failures += 1) {
      await this.server.exited;
      if (signal.aborted) return;
      const waitMs = restartDelayMs(failures);
      this.options.report(`Postgres: ended, starting it again in ${waitMs / 1000} s.`);
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        this.server = await startServer(this.options, port);
        failures = 0;
      } catch (error) {
        this.options.report(messageOf(error));
      }
      // A stop that came meanwhile knew only the server before.
      if (signal.aborted) await this.server.stop();
    }
  }
}

export interface EmbeddedDatabaseOptions {
  readonly dataDir: string;
  readonly logFile: string;
  readonly secrets: Secrets;
  readonly port: number | undefined;
  /** Tells the operator. */
  readonly report: (message: string) => void;
}

function startServer(options: EmbeddedDatabaseOptions, port: number | undefined): Promise<PostgresServer> {
  return startPostgresServer({
    dataDir: join(options.dataDir, 'postgres'),
    logFile: options.logFile,
    user: OWNER_ROLE,
    password: options.secrets.ownerPassword,
    port,
  });
}

async function ensureDatabase(serverUrl: string): Promise<void> {
  const client = new Client({ connectionString: serverUrl });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [DATABASE]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
  } finally {
    await client.end();
  }
}
