import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { LedgerBench, requestIds } from './ledger.spec-kit.js';

// Real: Postgres, as the application role. One statement each: no store splits a batch that the database refuses.

let database: TestDatabase;
let bench: LedgerBench;

beforeAll(async () => {
  database = await createTestDatabase();
  bench = new LedgerBench(database);
});

afterAll(async () => {
  await bench.close();
  await database.drop();
});

afterEach(async () => {
  expect(await bench.violations()).toEqual([]);
});

interface Ask {
  readonly r?: string;
  readonly a: string;
  readonly total: number | null;
  readonly least?: number;
  readonly ttl?: number;
}

/** Each answer as "outcome granted available". */
async function holdBatch(asks: readonly Ask[], skipLocked = false): Promise<string[]> {
  const p = asks.map((ask) => ({ r: uuidv7(), ttl: 90, ...ask }));
  const rows = await bench.sql('SELECT * FROM tollgate.hold_batch($1, 50, $2)', [
    JSON.stringify(p),
    skipLocked,
  ]);
  return rows.map(
    ({ outcome, granted, available }) => `${String(outcome)} ${String(granted)} ${String(available)}`,
  );
}

describe('hold_batch', () => {
  it('decides row by row: a refused hold never counts against one behind it', async () => {
    const a = await bench.newAccount(20n);
    const asks = [15, 100, 5, 1, 0].map((total) => ({ a, total }));
    expect(await holdBatch(asks)).toEqual([
      'held 15 5',
      'refused 0 5',
      'held 5 0',
      'refused 0 0',
      'held 0 0',
    ]);
    expect(await bench.account(a)).toMatchObject({ held: 20n });
  });

  it('keeps accounts apart that are mixed in one batch', async () => {
    const [a, b] = [await bench.newAccount(10n), await bench.newAccount(20n)];
    expect(
      await holdBatch([
        { a, total: 6 },
        { a: b, total: 15 },
        { a, total: 6, least: 2 },
        { a: uuidv7(), total: 1 },
        { a: b, total: 6 },
      ]),
    ).toEqual(['held 6 4', 'held 15 5', 'held 4 0', 'unknown_account 0 0', 'refused 0 5']);
  });

  it('takes the rows of one request as one hold that grows', async () => {
    const a = await bench.newAccount(100n);
    const [r = '', other = ''] = requestIds(2);
    expect(
      await holdBatch([
        { r, a, total: 30 },
        { r: other, a, total: 50 },
        { r, a, total: 60, least: 40 },
        { r, a, total: 10 },
        { r, a, total: 60 },
      ]),
    ).toEqual(['held 30 70', 'held 50 20', 'held 50 0', 'held 50 0', 'refused 50 0']);
    expect(await bench.account(a)).toMatchObject({ held: 100n });
  });

  it('gives a request to the first account that asks for it in the batch', async () => {
    const [a, b] = [await bench.newAccount(10n), await bench.newAccount(10n)];
    const r = uuidv7();
    expect(
      await holdBatch([
        { r, a, total: 5 },
        { r, a: b, total: 5 },
      ]),
    ).toEqual(['held 5 5', 'settled 5 10']);
    expect(await bench.account(b)).toMatchObject({ held: 0n });
  });

  it('decides for free accounts and leaves locked ones, where it is told to', async () => {
    const [locked, free] = [await bench.newAccount(10n), await bench.newAccount(10n)];
    const unlock = await bench.lockAccount(locked);
    const asks = [locked, free, locked].map((a) => ({ a, total: 5 }));
    expect(await holdBatch(asks, true)).toEqual(['busy 0 0', 'held 5 5', 'busy 0 0']);
    await expect(holdBatch(asks)).rejects.toMatchObject({ code: '55P03' });
    await unlock();
    expect(await bench.account(free)).toMatchObject({ held: 5n });
  });

  it('does not wait for an API key that somebody is making for the account', async () => {
    const a = await bench.newAccount(10n);
    const client = await bench.app.connect();
    await client.query('BEGIN');
    await client.query(
      `INSERT INTO tollgate.api_key (id, account_id, name, prefix, last4, key_hash)
         VALUES ($1, $2, 'spec', 'sk-spec', '0000', $3)`,
      [uuidv7(), a, Buffer.from(uuidv7())],
    );
    expect(await holdBatch([{ a, total: 5 }])).toEqual(['held 5 5']);
    await client.query('ROLLBACK');
    client.release();
  });

  it('answers an empty batch with nothing', async () => {
    expect(await holdBatch([])).toEqual([]);
  });

  it.each([
    ['without a total', { total: null }],
    ['with a negative total', { total: -1 }],
    ['that does not live', { total: 1, ttl: 0 }],
  ])('refuses a hold %s as a fault of ours', async (_, ask) => {
    const a = await bench.newAccount(10n);
    await expect(holdBatch([{ a, ...ask }])).rejects.toMatchObject({ code: '22023' });
  });
});
