import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { expireHolds } from './expire-holds.js';
import { LedgerBench, openOnes, requestIds, touches, usageEvent } from './ledger.spec-kit.js';
import { PostgresHoldStore } from './postgres-hold-store.js';
import { settleBatch } from './settle-batch.js';

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
    expect(openOnes(await store.touch(touches(accountId, ids)))).toEqual(new Set([third]));
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
    await store.touch(touches(accountId, ids));
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
      const stores = ids.map((id) => ({
        id,
        touching: new PostgresHoldStore(bench.app).touch(touches(id, [id])),
      }));
      await Promise.all(Array.from({ length: 4 }, () => expireHolds(bench.sql, 100)));
      for (const { id, touching } of stores) {
        if ((await touching).get(id) !== 'open') continue;
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

describe('expireHolds, for requests that were over', () => {
  /** A hold that was closed at 4 of its 10 nano-credits, and whose usage has not come. */
  async function finished(checkpointNano: bigint | null = null) {
    const { accountId, ids } = await newHolds(1, 10n);
    const [requestId = ''] = ids;
    if (checkpointNano !== null) {
      const checkpoint = usageEvent(accountId, checkpointNano, { requestId, swept: true });
      await store.touch([{ requestId, accountId, checkpoint }]);
    }
    await store.close(requestId, accountId, 4n);
    expect(await bench.account(accountId)).toMatchObject({ held: 4n });
    return { accountId, requestId };
  }

  it('frees what they keep if their usage does not come for five minutes', async () => {
    const { accountId, requestId } = await finished();
    await overdue([requestId], 290);
    expect(await expireHolds(bench.sql, 100)).toEqual([]);
    await overdue([requestId], 301);
    expect(await expireHolds(bench.sql, 100, { queueClearUntil: new Date(Date.now() - 10_000) })).toEqual([]);
    expect(await expireHolds(bench.sql, 100)).toEqual([
      { requestId, accountId, amountNano: 4n, checkpoint: null, wasOver: true },
    ]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 10n, held: 0n });
    expect(await expireHolds(bench.sql, 100)).toEqual([]);
    // Whenever it comes it is settled.
    await settleBatch(bench.sql, [usageEvent(accountId, 4n, { requestId })]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 6n, held: 0n });
  });

  it('answers with the checkpoint of those that have one, which are settled as swept', async () => {
    const { accountId, requestId } = await finished(3n);
    await overdue([requestId], 301);
    const [expired] = await expireHolds(bench.sql, 100);
    expect(expired).toMatchObject({ requestId, amountNano: 4n, wasOver: true });
    expect(expired?.checkpoint).toMatchObject({ requestId, costNano: '3' });
    expect(await bench.account(accountId)).toMatchObject({ posted: 10n, held: 4n });
    await settleBatch(bench.sql, [usageEvent(accountId, 3n, { requestId, swept: true })]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 7n, held: 0n });
  });

  it('leaves those alone whose usage waits for an operator', async () => {
    const { accountId, requestId } = await finished();
    const other = await bench.newAccount(10n);
    await settleBatch(bench.sql, [usageEvent(other, 4n, { requestId })]);
    await overdue([requestId], 301);
    expect(await expireHolds(bench.sql, 100)).toEqual([]);
    expect(await bench.account(accountId)).toMatchObject({ held: 4n });
  });
});
