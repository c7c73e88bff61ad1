import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import type { PoolClient } from 'pg';
import { v4 as uuidv4 } from 'uuid';
import { hashUsageEvent } from './usage-event-hash.js';
import { LedgerBench, requestIds, usageEvent } from './ledger.spec-kit.js';

// Real: Postgres, as the application role. Counts the rows that are read, not time.

/**
 * The worst that statistics can be: Postgres gathered them when nothing was held, as it may at any time of rest, and then came the
 * rush. It believes that an index of what is open is as good as empty, and that reading all of it costs nothing.
 */

/** Holds, or escrows, that are open while one call asks for a few. */
const OPEN = 2_000;
const BATCH = 20;
/** From the sixth call on Postgres may use a plan that does not look at what it is asked for. */
const CALLS = 8;
type Client = Pick<PoolClient, 'query'>;
/** Asks about a few. */
type Call<T> = (client: PoolClient, few: readonly T[]) => Promise<unknown>;

let database: TestDatabase;
let bench: LedgerBench;

beforeEach(async () => {
  database = await createTestDatabase();
  bench = new LedgerBench(database);
  await bench.owner.query('ALTER TABLE tollgate.reservation SET (autovacuum_enabled = false)');
});

afterEach(async () => {
  expect(await bench.violations()).toEqual([]);
  await bench.close();
  await database.drop();
});

/** Rows of `reservation` that the last of several calls by one connection reads. */
async function rowsRead<T>(client: PoolClient, open: readonly T[], call: Call<T>): Promise<number> {
  const queue = [...open];
  for (let n = 1; n < CALLS; n += 1) await call(client, queue.splice(0, BATCH));
  // What is counted is passed on now and then, but never within a transaction.
  await client.query('BEGIN');
  const before = await countOf(client);
  await call(client, queue.splice(0, BATCH));
  const read = (await countOf(client)) - before;
  await client.query('COMMIT');
  return read;
}

async function countOf(client: PoolClient): Promise<number> {
  const { rows } = await client.query<{ read: string }>(
    `SELECT COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0) AS read FROM pg_stat_xact_user_tables
      WHERE relid = 'tollgate.reservation'::regclass`,
  );
  return Number(rows[0]?.read);
}

/** Who reads the others reads nearly all that is open, at least once. */
function expectFew(read: number): void {
  expect(read).toBeGreaterThanOrEqual(BATCH);
  expect(read).toBeLessThan(OPEN / 2);
}

async function withClient<T>(use: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await bench.app.connect();
  try {
    return await use(client);
  } finally {
    client.release();
  }
}

interface Hold {
  readonly r: string;
  readonly a: string;
}

const ask = (holds: readonly Hold[]): string =>
  JSON.stringify(holds.map((hold) => ({ ...hold, total: '100', ttl: 600 })));

const events = (holds: readonly Hold[]) => holds.map(({ r, a }) => usageEvent(a, 5n, { requestId: r }));

async function settle(client: PoolClient, batch: ReturnType<typeof events>): Promise<void> {
  const p = batch.map((event) => ({ ...event, bodyHash: hashUsageEvent(event).toString('hex') }));
  await client.query('SELECT tollgate.settle_batch($1)', [JSON.stringify(p)]);
}

async function openHolds(count: number): Promise<Hold[]> {
  const a = await bench.newAccount(1_000_000_000n);
  const open = requestIds(count).map((r) => ({ r, a }));
  await bench.owner.query('SELECT tollgate.hold_batch($1)', [ask(open)]);
  return open;
}

const close = (client: Client, holds: readonly Hold[]): Promise<unknown> =>
  client.query('SELECT tollgate.close_batch($1)', [JSON.stringify(holds.map(({ r }) => ({ r, cost: '0' })))]);

const HOLD_CALLS: [string, Call<Hold>][] = [
  ['extending', (client, holds) => client.query('SELECT tollgate.hold_batch($1)', [ask(holds)])],
  [
    'renewing',
    (client, holds) => client.query('SELECT tollgate.touch_batch($1, 600)', [holds.map(({ r }) => r)]),
  ],
  [
    'renewing, with checkpoints,',
    (client, holds) =>
      client.query('SELECT tollgate.touch_batch($1, 600, NULL, false, $2)', [
        holds.map(({ r }) => r),
        JSON.stringify(events(holds)),
      ]),
  ],
  ['closing', close],
  ['settling', (client, holds) => settle(client, events(holds))],
];

interface Escrow {
  readonly e: string;
  readonly a: string;
}

/** An escrow each for accounts that may owe, so that no money need be paid in. */
async function openEscrows(count: number): Promise<Escrow[]> {
  const accounts = await bench.sql(
    `INSERT INTO tollgate.account (id, name, floor) SELECT gen_random_uuid(), 'spec', -1000 FROM generate_series(1, $1) RETURNING id`,
    [count],
  );
  const open = accounts.map(({ id }) => ({ e: uuidv4(), a: String(id) }));
  await grant(bench.owner, open, 100n);
  return open;
}

function grant(client: Client, escrows: readonly Escrow[], totalNano: bigint): Promise<unknown> {
  const asked = escrows.map((escrow) => ({ ...escrow, total: totalNano.toString() }));
  return client.query('SELECT tollgate.grant_escrow_batch($1)', [JSON.stringify(asked)]);
}

const ESCROW_CALLS: [string, Call<Escrow>][] = [
  ['growing', (client, escrows) => grant(client, escrows, 200n)],
  [
    'replacing',
    (client, escrows) =>
      grant(
        client,
        escrows.map(({ a }) => ({ e: uuidv4(), a })),
        100n,
      ),
  ],
  [
    'settling from',
    (client, escrows) =>
      settle(
        client,
        escrows.map(({ e, a }) => usageEvent(a, 5n, { escrowId: e })),
      ),
  ],
];

/** Calls after the rush, by a connection that has called before: what it planned was for an empty table. */
async function readsOfOldPlan<T>(make: (count: number) => Promise<T[]>, call: Call<T>): Promise<number> {
  await bench.owner.query('VACUUM ANALYZE tollgate.reservation');
  return withClient(async (client) => {
    // Made one call at a time: the first is planned with nothing there.
    for (let n = 0; n < CALLS; n += 1) await call(client, await make(1));
    return rowsRead(client, await make(OPEN), call);
  });
}

/** Calls of a new connection after the rush, with statistics of a time when everything was closed. */
async function readsOfNewPlan<T>(make: (count: number) => Promise<T[]>, call: Call<T>): Promise<number> {
  await close(bench.owner, await openHolds(OPEN));
  await bench.owner.query('VACUUM ANALYZE tollgate.reservation');
  const open = await make(OPEN);
  return withClient((client) => rowsRead(client, open, call));
}

describe.each(HOLD_CALLS)('%s holds', (_what, call) => {
  it('reads no others, if it was planned when there was none', async () => {
    expectFew(await readsOfOldPlan(openHolds, call));
  });

  it('reads no others, if Postgres believes that all are closed', async () => {
    expectFew(await readsOfNewPlan(openHolds, call));
  });
});

describe.each(ESCROW_CALLS)('%s escrows', (_what, call) => {
  it('reads no others, if it was planned when there was none', async () => {
    expectFew(await readsOfOldPlan(openEscrows, call));
  });

  it('reads no others, if Postgres believes that all is closed', async () => {
    expectFew(await readsOfNewPlan(openEscrows, call));
  });
});
