import { createPool } from '@tollgate/persistence';
import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import type { Pool, PoolClient } from 'pg';
import { LedgerReads } from './ledger-reads.js';

// Real: Postgres.

let database: TestDatabase;
let pool: Pool;
let reads: LedgerReads;

beforeAll(async () => {
  database = await createTestDatabase({ empty: true });
});

afterAll(() => database?.drop());

beforeEach(() => {
  pool = createPool({ url: database.ownerUrl, max: 4, name: 'reads-spec' });
  reads = new LedgerReads(pool);
});

afterEach(async () => {
  if (!pool.ended) await pool.end();
});

const sleep = (connection: PoolClient) => connection.query('SELECT pg_sleep(0.3)');

it('takes half of the connections at most, so that holds find one', async () => {
  let running = 0;
  let runningMax = 0;
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      reads.read(async (connection) => {
        running += 1;
        runningMax = Math.max(runningMax, running);
        await connection.query('SELECT pg_sleep(0.03)');
        running -= 1;
        return index;
      }),
    ),
  );
  expect(answers).toEqual(Array.from({ length: 20 }, (_, index) => index));
  expect(runningMax).toBe(2);
  expect(pool.totalCount).toBe(2);
});

it('refuses what would wait too long, and serves again afterwards', async () => {
  const busy = [reads.read(sleep), reads.read(sleep)];
  const waiting = Array.from({ length: 500 }, () => reads.read(async () => 'served'));
  await expect(reads.read(async () => 'late')).rejects.toMatchObject({ entry: 'server_is_overloaded' });
  await Promise.all(busy);
  expect(new Set(await Promise.all(waiting))).toEqual(new Set(['served']));
  expect(await reads.read(async () => 'again')).toBe('again');
});

it('reads the same subject once for all who ask meanwhile, and anew for whoever asks later', async () => {
  let asked = 0;
  const count = async () => (asked += 1);
  expect(await Promise.all([1, 2, 3].map(() => reads.readShared('a', count)))).toEqual([1, 1, 1]);
  expect(await reads.readShared('a', count)).toBe(2);
});

it('says that the ledger is away, keeps its places, and does not remember the failure', async () => {
  const broken = (connection: PoolClient) => connection.query('SELECT broken');
  for (let times = 0; times < 5; times += 1) {
    await expect(reads.readShared('a', broken)).rejects.toMatchObject({ entry: 'billing_unavailable' });
  }
  expect(await reads.readShared('a', async () => 'back')).toBe('back');
  await pool.end();
  await expect(reads.read(sleep)).rejects.toMatchObject({ entry: 'billing_unavailable' });
});
