import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import fc from 'fast-check';
import { v7 as uuidv7 } from 'uuid';
import { adjust } from './adjust.js';
import { LedgerBench, usageEvent } from './ledger.spec-kit.js';
import { PostgresHoldStore } from './postgres-hold-store.js';
import { setFloor } from './set-floor.js';
import { settleBatch } from './settle-batch.js';
import { sqlstateOf } from './sqlstate.js';

// Real: Postgres, as the application role.

const AMOUNT_MAX_NANO = 9_000_000_000_000_000n;

let database: TestDatabase;
let bench: LedgerBench;
let store: PostgresHoldStore;

beforeAll(async () => {
  database = await createTestDatabase();
  bench = new LedgerBench(database);
  store = new PostgresHoldStore(bench.app);
});

afterAll(async () => {
  await store.shutdown();
  await bench.close();
  await database.drop();
});

afterEach(async () => {
  expect(await bench.violations()).toEqual([]);
});

describe('a floor', () => {
  it('may be all that is not held, and not one nano-credit more', async () => {
    const accountId = await bench.newAccount(100n);
    await store.hold({ requestId: uuidv7(), accountId, totalNano: 30n });
    expect(await setFloor(bench.sql, { accountId, floorNano: 71n })).toBe('would_break_floor');
    expect(await bench.account(accountId)).toMatchObject({ floor: 0n });
    expect(await setFloor(bench.sql, { accountId, floorNano: 70n })).toBe('set');
    expect(await bench.account(accountId)).toMatchObject({ floor: 70n, posted: 100n, held: 30n });
  });

  it('opens a credit line that the next hold may use, and closes it as far as it is not used', async () => {
    const accountId = await bench.newAccount(0n);
    const hold = { requestId: uuidv7(), accountId, totalNano: 5n };
    expect(await store.hold(hold)).toMatchObject({ outcome: 'refused' });
    expect(await setFloor(bench.sql, { accountId, floorNano: -5n })).toBe('set');
    expect(await store.hold(hold)).toMatchObject({ outcome: 'held' });
    expect(await setFloor(bench.sql, { accountId, floorNano: -4n })).toBe('would_break_floor');
    await settleBatch(bench.sql, [usageEvent(accountId, 2n, { requestId: hold.requestId })]);
    expect(await setFloor(bench.sql, { accountId, floorNano: -2n })).toBe('set');
  });

  it('has the range of an amount, and belongs to an account', async () => {
    const accountId = await bench.newAccount(1n);
    const set = (floorNano: bigint) => setFloor(bench.sql, { accountId, floorNano });
    expect(await set(-AMOUNT_MAX_NANO)).toBe('set');
    expect(await set(-AMOUNT_MAX_NANO - 1n)).toBe('out_of_range');
    expect(await set(AMOUNT_MAX_NANO + 1n)).toBe('out_of_range');
    expect(await set(2n ** 80n)).toBe('out_of_range');
    expect(await setFloor(bench.sql, { accountId: uuidv7(), floorNano: 0n })).toBe('unknown_account');
    await expect(bench.sql('SELECT tollgate.set_floor($1, NULL)', [accountId])).rejects.toMatchObject({
      code: '22023',
    });
  });
});

describe('floors that change while requests are held and settled', () => {
  it('are decided one after another with them: no check ever fails', async () => {
    const step = fc.record({
      kind: fc.constantFrom('floor', 'hold', 'settle', 'top_up'),
      amount: fc.bigInt({ min: 0n, max: 40n }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.bigInt({ min: 0n, max: 60n }),
        fc.array(step, { maxLength: 16 }),
        async (opening, steps) => {
          const accountId = await bench.newAccount(opening);
          const outcomes = await Promise.all(
            steps.map(async ({ kind, amount }) => {
              switch (kind) {
                case 'floor':
                  return setFloor(bench.sql, { accountId, floorNano: 20n - amount });
                case 'hold':
                  return (await store.hold({ requestId: uuidv7(), accountId, totalNano: amount })).outcome;
                case 'settle':
                  return (await settleBatch(bench.sql, [usageEvent(accountId, amount)]))[0]?.outcome;
                case 'top_up':
                  return (await adjust(bench.sql, { kind, refId: uuidv7(), accountId, amountNano: amount }))
                    .outcome;
              }
            }),
          );
          const known = ['set', 'would_break_floor', 'held', 'refused', 'settled', 'booked', 'out_of_range'];
          expect(outcomes.filter((outcome) => !known.includes(outcome ?? 'none'))).toEqual([]);
          const { posted, held, floor } = await bench.account(accountId);
          expect(posted - held).toBeGreaterThanOrEqual(floor);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('wait for whoever has the account, and are not there if their connection is cut', async () => {
    const accountId = await bench.newAccount(10n);
    const unlock = await bench.lockAccount(accountId);
    let failure: unknown;
    const setting = setFloor(bench.sql, { accountId, floorNano: 5n }).catch(
      (error: unknown) => (failure = error),
    );
    while (failure === undefined) {
      await bench.owner.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
    }
    await setting;
    await unlock();
    expect(sqlstateOf(failure)).toBe('57P01');
    expect(await bench.account(accountId)).toMatchObject({ floor: 0n });
    expect(await setFloor(bench.sql, { accountId, floorNano: 5n })).toBe('set');
  });

  it('are undone with the transaction that they are part of', async () => {
    const accountId = await bench.newAccount(10n);
    const client = await bench.app.connect();
    await client.query('BEGIN');
    const sql = async (text: string, params?: unknown[]) => (await client.query(text, params)).rows;
    expect(await setFloor(sql, { accountId, floorNano: 5n })).toBe('set');
    await client.query('ROLLBACK');
    client.release();
    expect(await bench.account(accountId)).toMatchObject({ floor: 0n });
  });
});
