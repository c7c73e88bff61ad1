import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { migrate } from '@tollgate/persistence';
import { seedInstallation, type SeededInstallation } from '@tollgate/testing';
import { Client } from 'pg';
import { create } from 'tar';
import { loadSecrets } from '../data-folder/secrets.js';
import { EmbeddedDatabase } from '../database/embedded-database.js';
import { locatePostgresBinaries } from '../postgres/binaries.js';
import { MANIFEST_FILE, MANIFEST_FORMAT, thisMachine, type Manifest } from './manifest.js';

/** An installation without processes: its data folder, its running Postgres, an account with credits. */
export class BookedInstallation {
  private constructor(
    readonly root: string,
    readonly dataDir: string,
    private current: EmbeddedDatabase,
    readonly seeded: SeededInstallation,
  ) {}

  static async start(): Promise<BookedInstallation> {
    const root = mkdtempSync(join(tmpdir(), 'tollgate-backup-'));
    const dataDir = join(root, 'data');
    mkdirSync(dataDir);
    const secrets = loadSecrets(dataDir);
    const database = await openDatabase(dataDir);
    await migrate({ ownerUrl: database.ownerUrl, appUrl: database.appUrl });
    const { ownerUrl } = database;
    const { masterKey } = secrets;
    const seeded = await seedInstallation({ ownerUrl, masterKey, upstreams: ['http://127.0.0.1:9/v1'] });
    return new BookedInstallation(root, dataDir, database, seeded);
  }

  get database(): EmbeddedDatabase {
    return this.current;
  }

  /** Starts Postgres again if a test stopped it. */
  async ensureRunning(): Promise<void> {
    if (existsSync(join(this.dataDir, 'postgres', 'postmaster.pid'))) return;
    await this.current.stop();
    this.current = await openDatabase(this.dataDir);
  }

  /** Tops the account up by a nano-credit, again and again, until it is told to stop; answers how often. */
  load(): { stop: () => Promise<number> } {
    let running = true;
    const done = withClient(this.database.ownerUrl, async (client) => {
      let count = 0;
      for (; running; count += 1) {
        const sql = "SELECT * FROM tollgate.adjust('top_up', gen_random_uuid(), $1, 1, NULL, NULL)";
        await client.query(sql, [this.seeded.accountId]);
      }
      return count;
    });
    return {
      stop: () => {
        running = false;
        return done;
      },
    };
  }

  async remove(): Promise<void> {
    await this.current.stop();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Starts the Postgres of a data folder, with what its secrets say. */
export function openDatabase(dataDir: string): Promise<EmbeddedDatabase> {
  return EmbeddedDatabase.start({
    dataDir,
    secrets: loadSecrets(dataDir),
    logFile: join(dataDir, 'postgres.log'),
    port: undefined,
    report: () => undefined,
  });
}

export async function withClient<Value>(
  url: string,
  task: (client: Client) => Promise<Value>,
): Promise<Value> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await task(client);
  } finally {
    await client.end();
  }
}

/** All transfers as Postgres writes them, in the order of each account. */
export async function transferRows(url: string): Promise<string[]> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ line: string }>(
      'SELECT transfer::text AS line FROM tollgate.transfer ORDER BY account_id, account_seq',
    );
    return rows.map(({ line }) => line);
  });
}

/** Every row of every table of ours and of the queue as Postgres writes it, sorted. */
export async function allRows(url: string): Promise<string[]> {
  return withClient(url, async (client) => {
    const { rows: tables } = await client.query<{ name: string }>(
      `SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('tollgate', 'bullmq') AND c.relkind = 'r' ORDER BY 1`,
    );
    const lines: string[] = [];
    for (const { name } of tables) {
      const { rows } = await client.query<{ line: string }>(`SELECT t::text AS line FROM ${name} t`);
      lines.push(...rows.map(({ line }) => `${name} ${line}`));
    }
    return lines.sort();
  });
}

export async function violations(url: string): Promise<unknown[]> {
  return withClient(
    url,
    async (client) => (await client.query('SELECT * FROM tollgate.ledger_violation')).rows,
  );
}

/** An archive of these files, by path, with a manifest that is true of this build but for the changes. */
export async function smallArchive(archive: {
  file: string;
  files: Readonly<Record<string, string>>;
  changes: Partial<Record<keyof Manifest, unknown>>;
}): Promise<string> {
  const { file, files, changes } = archive;
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-archive-'));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  const manifest: Manifest = {
    format: MANIFEST_FORMAT,
    tollgate: '9.9.9',
    completedAt: new Date().toISOString(),
    postgresMajor: locatePostgresBinaries().majorVersion,
    machine: thisMachine(),
    migrations: [],
    files: [],
  };
  writeFileSync(join(folder, MANIFEST_FILE), JSON.stringify({ ...manifest, ...changes }));
  await create({ file, cwd: folder, gzip: true }, ['.']);
  rmSync(folder, { recursive: true });
  return file;
}
