import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { adjust } from './adjust.js';
import { expireHolds } from './expire-holds.js';
import { LedgerBench, requestIds, usageEvent } from './ledger.spec-kit.js';
import { PostgresHoldStore } from './postgres-hold-store.js';
import { settleBatch } from './settle-batch.js';
import { sqlstateOf } from './sqlstate.js';

// Real: Postgres, as the application role; its connections are cut, its locks are fought for.

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

/** Ends the sessions that wait for a lock, until `done`. */
async function cutWaitingSessions(done: () => boolean): Promise<void> {
  while (!done()) {
    await bench.owner.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
  }
}

describe('a connection that is cut in the middle of a batch', () => {
  it('leaves nothing of the batch behind, and the batch settles when it comes again', async () => {
    const [accountId, lockedId] = [await bench.newAccount(1_000n), await bench.newAccount(1_000n)];
    const events = [usageEvent(accountId, 1n), usageEvent(lockedId, 2n), usageEvent(accountId, 3n)];
    const unlock = await bench.lockAccount(lockedId);
    let failure: unknown;
    const settling = settleBatch(bench.sql, events).catch((error: unknown) => (failure = error));
    await cutWaitingSessions(() => failure !== undefined);
    await settling;
    expect(sqlstateOf(failure)).toBe('57P01');
    expect(await bench.account(accountId)).toMatchObject({ posted: 1_000n });
    await unlock();
    const settled = await settleBatch(bench.sql, events);
    expect(settled.map(({ chargedNano }) => chargedNano)).toEqual([1n, 2n, 3n]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 996n });
  });
});

describe('a batch whose answer was lost', () => {
  it('changes nothing when it comes again, in whatever company', async () => {
    const accountId = await bench.newAccount(1_000n);
    const events = Array.from({ length: 50 }, (_, index) => usageEvent(accountId, BigInt(index)));
    await settleBatch(bench.sql, events);
    const before = await bench.account(accountId);
    const replays = [events, events.slice(10, 30), [...events].reverse()];
    for (const replay of replays) {
      const outcomes = (await settleBatch(bench.sql, replay)).map(({ outcome }) => outcome);
      expect(new Set(outcomes)).toEqual(new Set(['known']));
    }
    expect(await bench.account(accountId)).toEqual(before);
  });

  it('settles each event once when two workers have it at the same time', async () => {
    const accounts = await Promise.all([1, 2, 3].map(() => bench.newAccount(10_000n)));
    const events = Array.from({ length: 90 }, (_, index) => usageEvent(accounts[index % 3] ?? '', 10n));
    const answers = await Promise.all(
      [events, [...events].reverse(), events.slice(20), events.slice(0, 70)].map((batch) =>
        settleBatch(bench.sql, batch),
      ),
    );
    expect(answers.flat().filter(({ outcome }) => outcome === 'settled')).toHaveLength(90);
    for (const accountId of accounts) {
      expect(await bench.account(accountId)).toMatchObject({ posted: 9_700n });
    }
  });

  it('quarantines each bad event once when two workers have them in another order', async () => {
    for (let round = 0; round < 5; round += 1) {
      const events = Array.from({ length: 150 }, () => usageEvent(uuidv7(), 1n));
      const backwards = [...events].reverse();
      await Promise.all([events, backwards, events, backwards].map((batch) => bench.settleDirectly(batch)));
      const ids = events.map(({ requestId }) => requestId);
      const [row] = await bench.sql(
        'SELECT count(*)::int AS count FROM tollgate.quarantine WHERE request_id = ANY ($1)',
        [ids],
      );
      expect(row).toEqual({ count: 150 });
    }
  });
});

describe('all writers at once', () => {
  it('never deadlock, and the books stay right', async () => {
    // Connections of its own: Postgres counts their deadlocks for good when they end.
    const crowd = new LedgerBench(database);
    const crowdStore = new PostgresHoldStore(crowd.app);
    const accounts = await Promise.all(Array.from({ length: 4 }, () => crowd.newAccount(1_000_000n)));
    const until = performance.now() + 2_000;
    const random = (below: number): number => Math.floor(Math.random() * below);
    const someAccount = (): string => accounts[random(accounts.length)] ?? '';
    const writers: (() => Promise<unknown>)[] = [
      async () => {
        const ids = requestIds(12);
        const events = ids.map((requestId) => usageEvent(someAccount(), BigInt(random(50)), { requestId }));
        for (const { requestId, accountId } of events) {
          void crowdStore.hold({ requestId, accountId, totalNano: 20n });
        }
        await crowdStore.touch(ids);
        await Promise.all(
          events.slice(0, 6).map(({ requestId, costNano }) => crowdStore.close(requestId, BigInt(costNano))),
        );
        await settleBatch(crowd.sql, events);
      },
      () =>
        settleBatch(
          crowd.sql,
          Array.from({ length: 20 }, () => usageEvent(someAccount(), BigInt(random(50)))),
        ),
      () =>
        adjust(crowd.sql, {
          kind: 'adjustment',
          refId: uuidv7(),
          accountId: someAccount(),
          amountNano: BigInt(random(99) - 49),
        }),
      () => expireHolds(crowd.sql, 50),
      () =>
        crowd.sql(
          `INSERT INTO tollgate.api_key (id, account_id, name, prefix, last4, key_hash)
             VALUES ($1, $2, 'spec', 'sk-spec', '0000', $3)`,
          [uuidv7(), someAccount(), Buffer.from(uuidv7())],
        ),
      () => crowd.sql(`UPDATE tollgate.account SET name = 'renamed' WHERE id = $1`, [someAccount()]),
      () => crowd.sql('SELECT tollgate.ensure_usage_partitions(4)'),
    ];
    const runs = writers
      .flatMap((write) => [write, write])
      .map(async (write) => {
        let count = 0;
        for (; performance.now() < until; count += 1) await write();
        return count;
      });
    const counts = await Promise.all(runs);
    expect(counts.every((count) => count > 0)).toBe(true);
    await crowdStore.shutdown();
    await crowd.close();
    const { rows } = await bench.owner.query<{ deadlocks: string }>(
      'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()',
    );
    expect(rows[0]?.deadlocks).toBe('0');
  });
});
