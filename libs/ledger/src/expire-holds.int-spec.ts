import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { expireHolds } from './expire-holds.js';
import { LedgerBench, requestIds } from './ledger.spec-kit.js';
import { PostgresHoldStore } from './postgres-hold-store.js';

// Real: Postgres, as the application role.

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

/** Makes holds look so many seconds overdue. */
async function overdue(ids: readonly string[], seconds = 1): Promise<void> {
  await bench.owner.query(
    `UPDATE tollgate.reservation SET deadline_at = now() - make_interval(secs => $2) WHERE id = ANY ($1)`,
    [ids, seconds],
  );
}

async function newHolds(count: number, totalNano: bigint) {
  const accountId = await bench.newAccount(BigInt(count) * totalNano);
  const ids = requestIds(count);
  await Promise.all(ids.map((requestId) => store.hold({ requestId, accountId, totalNano })));
  return { accountId, ids };
}

describe('expireHolds', () => {
  it('frees holds past their deadline, and says which', async () => {
    const { accountId, ids } = await newHolds(3, 10n);
    const [first = '', second = '', third = ''] = ids;
    await overdue([first, second]);
    const expired = await expireHolds(bench.sql, 100);
    expect(expired.map(({ requestId }) => requestId).sort()).toEqual([first, second]);
    expect(expired[0]).toMatchObject({ accountId, amountNano: 10n });
    expect(await bench.account(accountId)).toMatchObject({ held: 10n });
    expect(await store.touch(ids)).toEqual(new Set([third]));
    expect(await expireHolds(bench.sql, 100)).toEqual([]);
  });

  it('takes the longest overdue first, at most so many', async () => {
    const { ids } = await newHolds(5, 10n);
    await overdue(ids, 1);
    await overdue(ids.slice(3), 60);
    const expired = await expireHolds(bench.sql, 2);
    expect(expired.map(({ requestId }) => requestId).sort()).toEqual(ids.slice(3));
    await expireHolds(bench.sql, 100);
  });

  it('leaves a hold alone that was renewed in time', async () => {
    const { accountId, ids } = await newHolds(1, 10n);
    await overdue(ids);
    await store.touch(ids);
    expect(await expireHolds(bench.sql, 100)).toEqual([]);
    expect(await bench.account(accountId)).toMatchObject({ held: 10n });
    await overdue(ids);
    await expireHolds(bench.sql, 100);
  });

  it('leaves the holds of a locked account for the next time, and does not wait for it', async () => {
    const locked = await newHolds(1, 10n);
    const free = await newHolds(1, 10n);
    await overdue([...locked.ids, ...free.ids]);
    const unlock = await bench.lockAccount(locked.accountId);
    expect(await expireHolds(bench.sql, 100)).toMatchObject([{ accountId: free.accountId }]);
    await unlock();
    expect(await expireHolds(bench.sql, 100)).toMatchObject([{ accountId: locked.accountId }]);
  });

  it('never frees a hold that is renewed at the same moment', async () => {
    for (let round = 0; round < 15; round += 1) {
      const ids = (await Promise.all(Array.from({ length: 20 }, () => newHolds(1, 10n)))).flatMap(
        (made) => made.ids,
      );
      await overdue(ids);
      const stores = ids.map((id) => ({ id, touching: new PostgresHoldStore(bench.app).touch([id]) }));
      await Promise.all(Array.from({ length: 4 }, () => expireHolds(bench.sql, 100)));
      for (const { id, touching } of stores) {
        if (!(await touching).has(id)) continue;
        const open = await bench.sql(`SELECT state FROM tollgate.reservation WHERE id = $1`, [id]);
        expect(open).toEqual([{ state: 'open' }]);
      }
    }
  });

  it('frees each hold once however many ask at the same time', async () => {
    const { accountId, ids } = await newHolds(50, 10n);
    await overdue(ids);
    await Promise.all(Array.from({ length: 8 }, () => expireHolds(bench.sql, 100)));
    await expireHolds(bench.sql, 100);
    expect(await bench.account(accountId)).toMatchObject({ held: 0n });
  });
});
