import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgresServer, type PostgresServer } from '@tollgate/embedded';
import { createPool, migrate } from '@tollgate/persistence';
import type { Pool } from 'pg';

/** A migrated database: the pool of the application role, and the owner's. */
export interface BenchDatabase {
  readonly app: Pool;
  readonly owner: Pool;
}

/** Statements that make millions of rows take their time. */
const QUERY_TIMEOUT_MS = 3_600_000;

/** A Postgres of one benchmark, with its data in a temporary folder. It syncs its writes, as in production. */
export class BenchServer {
  private readonly pools: Pool[] = [];

  private constructor(
    private readonly server: PostgresServer,
    private readonly folder: string,
  ) {}

  static async start(settings: Readonly<Record<string, string>> = {}): Promise<BenchServer> {
    const folder = mkdtempSync(join(tmpdir(), 'tollgate-bench-'));
    const server = await startPostgresServer({
      dataDir: join(folder, 'postgres'),
      logFile: join(folder, 'postgres.log'),
      user: 'owner',
      password: 'owner',
      settings,
    });
    return new BenchServer(server, folder);
  }

  /** Makes a database and brings it to the schema of this build. */
  async newDatabase(name: string): Promise<BenchDatabase> {
    const root = this.pool(this.server.url('postgres'), 1);
    await root.query(`CREATE DATABASE ${name}`);
    const ownerUrl = this.server.url(name);
    const appUrl = ownerUrl.replace('//owner:owner@', '//tollgate_app:app@');
    await migrate({ ownerUrl, appUrl });
    return { app: this.pool(appUrl, 8), owner: this.pool(ownerUrl, 4) };
  }

  async stop(): Promise<void> {
    await Promise.all(this.pools.map((pool) => pool.end()));
    await this.server.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private pool(url: string, max: number): Pool {
    const pool = createPool({ url, max, name: 'bench', queryTimeoutMs: QUERY_TIMEOUT_MS });
    this.pools.push(pool);
    return pool;
  }
}

/** Nano-credits that each account of a benchmark begins with: more than it can spend. */
export const OPENING_NANO = 1_000_000_000_000n;

/** Makes accounts with money, by bookings like any other; answers their ids. */
export async function newAccounts({ owner }: BenchDatabase, count: number): Promise<string[]> {
  const { rows } = await owner.query<{ id: string }>(
    `WITH made AS (
       INSERT INTO tollgate.account (id, name, posted, seq)
         SELECT gen_random_uuid(), 'bench', $2, 1 FROM generate_series(1, $1) RETURNING id
     ), booked AS (
       INSERT INTO tollgate.transfer (kind, ref_id, debit_id, credit_id, amount, account_id, account_seq, balance_after)
         SELECT 'top_up', gen_random_uuid(), '00000000-0000-0000-0000-000000000003', id, $2, id, 1, $2 FROM made
     )
     SELECT id FROM made`,
    [count, OPENING_NANO.toString()],
  );
  await owner.query('ANALYZE tollgate.account, tollgate.transfer');
  return rows.map(({ id }) => id);
}
