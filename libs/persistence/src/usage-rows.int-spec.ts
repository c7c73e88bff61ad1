import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { Client, type Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { listCharged, sumCharged } from './charged-rows.js';
import { createPool } from './pool.js';
import { findUsageRow, listUsageRows, type UsageListing } from './usage-rows.js';
import { insertUsage, type SpecUsage } from './usage.spec-kit.js';

// Real: Postgres, read as the application role.

const NOON_MS = Date.UTC(2026, 10, 21, 12);
const HOUR_MS = 3_600_000;
const owner = { accountId: uuidv7(), apiKeyId: uuidv7() };
const sibling = { accountId: owner.accountId, apiKeyId: uuidv7() };
const stranger = { accountId: uuidv7(), apiKeyId: uuidv7() };

let database: TestDatabase;
let pool: Pool;
let client: Client;
let ids: string[];

beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool({ url: database.appUrl, max: 2, name: 'usage-spec' });
  client = new Client({ connectionString: database.ownerUrl });
  await client.connect();
  ids = [0, 1, 2, 3, 4].map((hour) => uuidv7({ msecs: NOON_MS + hour * HOUR_MS }));
  await insert({ requestId: idAt(0), ...owner, model: 'old', costNano: 5n });
  await insert({ requestId: idAt(1), ...owner, model: 'new', costNano: 70n, absorbedNano: 20n });
  await insert({ requestId: idAt(2), ...owner, model: 'new', costNano: 900n });
  await insert({ requestId: idAt(3), ...sibling, model: 'new', costNano: 11_000n });
  await insert({ requestId: idAt(4), ...stranger, model: 'new', costNano: 130_000n, absorbedNano: 130_000n });
});

afterAll(async () => {
  await Promise.all([pool?.end(), client?.end()]);
  await database?.drop();
});

const insert = (usage: SpecUsage) => insertUsage(client, usage);
const hour = (count: number) => new Date(NOON_MS + count * HOUR_MS);

function idAt(index: number): string {
  const id = ids[index];
  if (id === undefined) throw new Error(`no id ${index}`);
  return id;
}

async function listed(filter: Partial<UsageListing>): Promise<string[]> {
  const rows = await listUsageRows(pool, { ...owner, limit: 10, ...filter });
  return rows.map(({ requestId }) => requestId);
}

describe('listUsageRows', () => {
  it('lists one key’s requests, newest first, by model, time and position', async () => {
    expect(await listed({})).toEqual([idAt(2), idAt(1), idAt(0)]);
    expect(await listed({ limit: 2 })).toEqual([idAt(2), idAt(1)]);
    expect(await listed({ before: idAt(2) })).toEqual([idAt(1), idAt(0)]);
    expect(await listed({ model: 'new' })).toEqual([idAt(2), idAt(1)]);
    expect(await listed({ from: hour(1), to: hour(2) })).toEqual([idAt(1)]);
    expect(await listed({ to: hour(2), before: idAt(1) })).toEqual([idAt(0)]);
    expect(await listed({ apiKeyId: stranger.apiKeyId })).toEqual([]);
  });

  it('tells what was charged from what was absorbed', async () => {
    const [row] = await listUsageRows(pool, { ...owner, limit: 1, before: idAt(2) });
    expect(row).toEqual({
      requestId: idAt(1),
      model: 'new',
      units: { input: 7 },
      costNano: 70n,
      chargedNano: 50n,
      usageSource: 'provider',
      outcome: 'completed',
      attempts: 1,
      firstByteMs: null,
      totalMs: 34,
    });
  });
});

describe('findUsageRow', () => {
  it('finds the key’s own requests alone', async () => {
    expect(await findUsageRow(pool, owner, idAt(0))).toMatchObject({ requestId: idAt(0), chargedNano: 5n });
    for (const id of [idAt(3), idAt(4), uuidv7()]) expect(await findUsageRow(pool, owner, id)).toBeNull();
  });

  it('finds the true usage of a request that had been swept', async () => {
    const swept = { requestId: uuidv7({ msecs: NOON_MS }), accountId: uuidv7(), apiKeyId: uuidv7() };
    await insert({ ...swept, costNano: 9n, swept: true });
    expect(await findUsageRow(pool, swept, swept.requestId)).toMatchObject({ costNano: 9n });
    await insert({ ...swept, costNano: 4n });
    expect(await findUsageRow(pool, swept, swept.requestId)).toMatchObject({ costNano: 4n });
    const day = { from: hour(-12), to: hour(12) };
    expect(await sumCharged(pool, { accountId: swept.accountId, ...day })).toEqual({
      requests: 1,
      chargedNano: 4n,
    });
    expect(await listCharged(pool, swept.accountId, [day])).toEqual([
      { span: 0, model: 'm', chargedNano: 4n },
    ]);
  });
});

describe('sumCharged', () => {
  it('sums an account’s or a key’s requests of a span, without what was absorbed', async () => {
    const all = { from: hour(0), to: hour(24) };
    expect(await sumCharged(pool, { accountId: owner.accountId, ...all })).toEqual({
      requests: 4,
      chargedNano: 11_955n,
    });
    expect(await sumCharged(pool, { ...owner, ...all })).toEqual({ requests: 3, chargedNano: 955n });
    expect(await sumCharged(pool, { ...owner, from: hour(1), to: hour(2) })).toEqual({
      requests: 1,
      chargedNano: 50n,
    });
    expect(await sumCharged(pool, { ...stranger, ...all })).toEqual({ requests: 1, chargedNano: 0n });
    expect(await sumCharged(pool, { accountId: uuidv7(), ...all })).toEqual({ requests: 0, chargedNano: 0n });
  });
});

describe('listCharged', () => {
  it('sums by span and model, and leaves out what cost nothing', async () => {
    const spans = [0, 1, 2, 3].map((first) => ({ from: hour(first), to: hour(first + 1) }));
    expect(await listCharged(pool, owner.accountId, [...spans, { from: hour(0), to: hour(24) }])).toEqual([
      { span: 0, model: 'old', chargedNano: 5n },
      { span: 1, model: 'new', chargedNano: 50n },
      { span: 2, model: 'new', chargedNano: 900n },
      { span: 3, model: 'new', chargedNano: 11_000n },
      { span: 4, model: 'new', chargedNano: 11_950n },
      { span: 4, model: 'old', chargedNano: 5n },
    ]);
    expect(await listCharged(pool, stranger.accountId, spans)).toEqual([]);
    expect(await listCharged(pool, owner.accountId, [])).toEqual([]);
  });
});

/** What a read would do if the tables were too large to be read whole. */
async function plansOf(read: (explaining: Pool) => Promise<unknown>): Promise<string> {
  const connection = await pool.connect();
  let plan = '';
  try {
    await connection.query('BEGIN; SET LOCAL enable_seqscan = off');
    const explaining = {
      query: async (text: string, params: unknown[]) => {
        const { rows } = await connection.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${text}`, params);
        plan += rows.map((row) => row['QUERY PLAN']).join('\n');
        return { rows: [] };
      },
    };
    await read(explaining as unknown as Pool);
    await connection.query('ROLLBACK');
  } finally {
    connection.release();
  }
  return plan;
}

describe('the reads', () => {
  const month = { from: new Date(Date.UTC(2026, 10, 1)), to: new Date(Date.UTC(2026, 11, 1)) };

  it.each([
    ['the list', (explaining: Pool) => listUsageRows(explaining, { ...owner, ...month, limit: 50 })],
    ['the sum', (explaining: Pool) => sumCharged(explaining, { ...owner, ...month })],
    ['the days', (explaining: Pool) => listCharged(explaining, owner.accountId, [month])],
    ['one request', (explaining: Pool) => findUsageRow(explaining, owner, idAt(0))],
  ])('go by indexes: %s', async (_what, read) => {
    const plan = await plansOf(read);
    expect(plan).toMatch(/Index Cond: .*(account_id|request_id) = /);
    expect(plan).not.toMatch(/Seq Scan/);
  });
});
