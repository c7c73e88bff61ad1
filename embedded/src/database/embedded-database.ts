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
    const server = await startInstallationPostgres(options);
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
    return ownerUrlOf(this.server);
  }

  get appUrl(): string {
    return applicationUrl(this.ownerUrl, this.options.secrets);
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
        this.server = await startInstallationPostgres({ ...this.options, port });
        failures = 0;
      } catch (error) {
        this.options.report(messageOf(error));
      }
      // A stop that came meanwhile knew only the server before.
      if (signal.aborted) await this.server.stop();
    }
  }
}

/** Where an installation's Postgres is, and how to get in. */
export interface InstallationPostgres {
  /** The installation's data folder. */
  readonly dataDir: string;
  readonly logFile: string;
  readonly secrets: Secrets;
  /** TCP port on 127.0.0.1; any free one if not given. */
  readonly port?: number | undefined;
}

export interface EmbeddedDatabaseOptions extends InstallationPostgres {
  /** Tells the operator. */
  readonly report: (message: string) => void;
}

/** Starts an installation's Postgres, or takes over the one that runs. @throws PostgresError */
export function startInstallationPostgres(options: InstallationPostgres): Promise<PostgresServer> {
  return startPostgresServer({
    dataDir: join(options.dataDir, 'postgres'),
    logFile: options.logFile,
    user: OWNER_ROLE,
    password: options.secrets.ownerPassword,
    port: options.port,
  });
}

/** The URL of the role that owns the installation's database. */
export function ownerUrlOf(server: PostgresServer): string {
  return server.url(DATABASE);
}

/** The URL of the applications' role, from the owner's. */
export function applicationUrl(ownerUrl: string, secrets: Secrets): string {
  const url = new URL(ownerUrl);
  url.username = APP_ROLE;
  url.password = secrets.appPassword;
  return url.href;
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
