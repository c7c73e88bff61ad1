import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { DatabaseError } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { adjust } from './adjust.js';
import { escrow, grantEscrow, passTime } from './escrow.spec-kit.js';
import { checkBooks } from './book-check.js';
import { closeDays } from './day-close.js';
import { openEscrows } from './escrow-drift.js';
import {
  adjustWithShut,
  dueEscrows,
  finishEscrows,
  returnEscrows,
  shutEscrow,
  wantedEscrow,
} from './escrow-return.js';
import { purgeReservations } from './purge-reservations.js';
import { expireHolds } from './expire-holds.js';
import { LedgerBench, requestIds, touches, usageEvent } from './ledger.spec-kit.js';
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

describe('a connection that is cut in the middle of an escrow', () => {
  /** Makes a call wait for the account, cuts it, and makes it again. */
  async function cutOnce<T>(accountId: string, call: () => Promise<T>): Promise<T> {
    const unlock = await bench.lockAccount(accountId);
    let failure: unknown;
    const cut = call().catch((error: unknown) => (failure = error));
    await cutWaitingSessions(() => failure !== undefined);
    await cut;
    expect(sqlstateOf(failure)).toBe('57P01');
    await unlock();
    return call();
  }

  it('leaves nothing of a grant, a shutting, a withdrawal or a reversal behind; each is done when it comes again', async () => {
    const accountId = await bench.newAccount(100n);
    const escrowId = uuidv7();
    expect(
      await cutOnce(accountId, () => grantEscrow(bench, { accountId, escrowId, totalNano: 80n })),
    ).toMatchObject({
      granted: 80n,
      available: 20n,
    });
    const event = usageEvent(accountId, 30n, { escrowId });
    const guess = { ...event, costNano: '10', swept: true as const };
    expect(await cutOnce(accountId, () => settleBatch(bench.sql, [guess]))).toMatchObject([
      { chargedNano: 10n },
    ]);
    expect(await cutOnce(accountId, () => settleBatch(bench.sql, [event]))).toMatchObject([
      { chargedNano: 30n, reversedNano: 10n },
    ]);
    const refund = { kind: 'refund', refId: uuidv7(), accountId, amountNano: -50n } as const;
    const rest = { spentNano: 30n, heldNano: 15n };
    const booked = await cutOnce(accountId, () => adjustWithShut(bench.sql, refund, { escrowId, rest }));
    expect(booked.outcome).toBe('booked');
    expect(await cutOnce(accountId, () => shutEscrow(bench.sql, escrowId, rest))).toBe(0n);
    expect(await escrow(bench, escrowId)).toBe('80 - 30 - 35 closing shut');
    expect(await bench.account(accountId)).toMatchObject({ posted: 20n, held: 15n });
  });

  it('sweeps a hold later whose sweeper died', async () => {
    const accountId = await bench.newAccount(100n);
    const [requestId = ''] = requestIds(1);
    await store.hold({ requestId, accountId, totalNano: 40n });
    const checkpoint = usageEvent(accountId, 20n, { requestId, swept: true });
    await bench.sql('SELECT tollgate.touch_batch($1, 90, NULL, false, $2)', [
      [requestId],
      JSON.stringify([checkpoint]),
    ]);
    const overdue = `UPDATE tollgate.reservation SET deadline_at = now() - interval '1 s' WHERE id = $1`;
    await bench.owner.query(overdue, [requestId]);
    expect(await expireHolds(bench.sql, 10)).toHaveLength(1);
    expect(await expireHolds(bench.sql, 10)).toEqual([]);
    await bench.owner.query(overdue, [requestId]);
    expect(await expireHolds(bench.sql, 10)).toMatchObject([{ requestId, checkpoint }]);
    await Promise.all([1, 2, 3].map(() => settleBatch(bench.sql, [checkpoint])));
    expect(await bench.account(accountId)).toMatchObject({ posted: 80n, held: 0n, seq: 2n });
  });
});

describe('swept and true usage at the same time', () => {
  it('ends in the true cost, whichever is first', async () => {
    for (let round = 0; round < 40; round += 1) {
      const accountId = await bench.newAccount(100n);
      const escrowId = uuidv7();
      await grantEscrow(bench, { accountId, escrowId, totalNano: 60n });
      const event = usageEvent(accountId, 30n, { escrowId });
      const guess = { ...event, costNano: '10', swept: true as const };
      await Promise.all([guess, event, guess, event].map((one) => settleBatch(bench.sql, [one])));
      expect(await bench.account(accountId)).toMatchObject({ posted: 70n, held: 30n });
    }
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

/** What gateways, billing and operators do with escrows, on accounts that others write to. */
function escrowWriters(crowd: LedgerBench, someAccount: () => string): (() => Promise<unknown>)[] {
  const current = new Map<string, string>();
  const escrowOf = (accountId: string): string => current.get(accountId) ?? '';
  const random = (below: number): bigint => BigInt(Math.floor(Math.random() * below));
  return [
    async () => {
      const accountId = someAccount();
      if (!current.has(accountId)) current.set(accountId, uuidv7());
      const { outcome } = await grantEscrow(crowd, {
        accountId,
        escrowId: escrowOf(accountId),
        totalNano: random(5_000),
      });
      if (outcome === 'closing') current.delete(accountId);
    },
    () => {
      const events = Array.from({ length: 10 }, () => {
        const accountId = someAccount();
        const escrowId = current.get(accountId);
        const event = usageEvent(accountId, random(50), escrowId === undefined ? {} : { escrowId });
        return [{ ...event, swept: true as const }, event];
      });
      return settleBatch(crowd.sql, events.flat());
    },
    async () => {
      const escrowId = await wantedEscrow(crowd.sql, someAccount());
      if (escrowId !== null) {
        await shutEscrow(crowd.sql, escrowId, { spentNano: random(90), heldNano: random(90) });
      }
    },
    async () => {
      const due = await dueEscrows(crowd.sql, 50);
      await passTime(
        crowd,
        '3 min',
        due.map(({ escrowId }) => escrowId),
      );
      await finishEscrows(crowd.sql, { queueClearUntil: new Date(Date.now() + 60_000), escrowsMax: 50 });
    },
    async () => {
      const accountId = someAccount();
      const escrowId = await wantedEscrow(crowd.sql, accountId);
      const adjustment = { kind: 'refund', refId: uuidv7(), accountId, amountNano: -5n } as const;
      if (escrowId !== null) await adjustWithShut(crowd.sql, adjustment, { escrowId, rest: null });
    },
  ];
}

/** What billing does beside settling. Whatever they find wrong while money moves would be a false alarm. */
function bookKeepers(crowd: LedgerBench, alarms: unknown[]): (() => Promise<unknown>)[] {
  return [
    async () => {
      const pass = await checkBooks(crowd.sql, { everySeconds: 0, accountsMax: 3 });
      alarms.push(...(pass?.wrong ?? []));
    },
    () => closeDays(crowd.sql, { patienceSeconds: 0, daysMax: 3 }),
    () => purgeReservations(crowd.sql, 100),
    async () => {
      const open = await openEscrows(crowd.sql, '00000000-0000-0000-0000-000000000000', 10);
      await returnEscrows(
        crowd.sql,
        open.map(({ escrowId }) => escrowId),
      );
    },
  ];
}

/** Says what the server knows of a failure: of a deadlock, who waited for whom. */
function tellMore(error: unknown): never {
  if (!(error instanceof DatabaseError)) throw error;
  const { message, detail = '', where = '' } = error;
  throw new Error([message, detail, where].join('\n'), { cause: error });
}

describe('all writers at once', () => {
  it('settle_batch and grants, top-ups, API key inserts and checks in parallel: no deadlock, no false alarm', async () => {
    // Connections of its own: Postgres counts their deadlocks for good when they end.
    const crowd = new LedgerBench(database);
    const crowdStore = new PostgresHoldStore(crowd.app);
    const accounts = await Promise.all(Array.from({ length: 4 }, () => crowd.newAccount(1_000_000n)));
    const until = performance.now() + 2_000;
    const random = (below: number): number => Math.floor(Math.random() * below);
    const someAccount = (): string => accounts[random(accounts.length)] ?? '';
    const alarms: unknown[] = [];
    const writers: (() => Promise<unknown>)[] = [
      ...bookKeepers(crowd, alarms),
      async () => {
        const ids = requestIds(12);
        const events = ids.map((requestId) => usageEvent(someAccount(), BigInt(random(50)), { requestId }));
        for (const { requestId, accountId } of events) {
          void crowdStore.hold({ requestId, accountId, totalNano: 20n });
        }
        await crowdStore.touch(touches(someAccount(), ids));
        await Promise.all(
          events
            .slice(0, 6)
            .map(({ requestId, accountId, costNano }) =>
              crowdStore.close(requestId, accountId, BigInt(costNano)),
            ),
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
      ...escrowWriters(crowd, someAccount),
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
        for (; performance.now() < until; count += 1) await write().catch(tellMore);
        return count;
      });
    const counts = await Promise.all(runs);
    expect(counts.every((count) => count > 0)).toBe(true);
    expect(alarms).toEqual([]);
    await crowdStore.shutdown();
    await crowd.close();
    const { rows } = await bench.owner.query<{ deadlocks: string }>(
      'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()',
    );
    expect(rows[0]?.deadlocks).toBe('0');
  });
});
