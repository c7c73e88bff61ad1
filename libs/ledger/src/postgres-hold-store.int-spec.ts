import { createPool } from '@tollgate/persistence';
import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { HoldStoreUnavailableError } from './hold-store.js';
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

async function reservation(requestId: string) {
  const [row] = await bench.sql(
    `SELECT state, granted, released, used, extract(epoch FROM deadline_at - now())::int AS lives_seconds
       FROM tollgate.reservation WHERE id = $1`,
    [requestId],
  );
  return row;
}

describe('placing a hold', () => {
  it('sets the credits aside for 90 seconds', async () => {
    const accountId = await bench.newAccount(100n);
    const requestId = uuidv7();
    expect(await store.hold({ requestId, accountId, totalNano: 60n })).toEqual({
      outcome: 'held',
      grantedNano: 60n,
      availableNano: 40n,
      escrowId: null,
    });
    expect(await bench.account(accountId)).toMatchObject({ posted: 100n, held: 60n });
    expect(await reservation(requestId)).toMatchObject({ state: 'open', granted: '60' });
    expect((await reservation(requestId))?.['lives_seconds']).toBeGreaterThan(80);
  });

  it('is refused above the available balance, and says what is available', async () => {
    const accountId = await bench.newAccount(100n);
    await store.hold({ requestId: uuidv7(), accountId, totalNano: 60n });
    expect(await store.hold({ requestId: uuidv7(), accountId, totalNano: 41n })).toEqual({
      outcome: 'refused',
      availableNano: 40n,
    });
    expect(await bench.account(accountId)).toMatchObject({ held: 60n });
  });

  it('reaches into a credit line, down to the floor', async () => {
    const accountId = await bench.newAccount(100n, -50n);
    expect(await store.hold({ requestId: uuidv7(), accountId, totalNano: 151n })).toMatchObject({
      outcome: 'refused',
    });
    expect(await store.hold({ requestId: uuidv7(), accountId, totalNano: 150n })).toMatchObject({
      outcome: 'held',
    });
  });

  it('takes what is available where that is of use', async () => {
    const accountId = await bench.newAccount(100n);
    const ask = { requestId: uuidv7(), accountId, totalNano: 500n };
    expect(await store.hold({ ...ask, leastNano: 101n })).toEqual({
      outcome: 'refused',
      availableNano: 100n,
    });
    expect(await store.hold({ ...ask, leastNano: 100n })).toEqual({
      outcome: 'held',
      grantedNano: 100n,
      availableNano: 0n,
      escrowId: null,
    });
  });

  it('holds nothing for a request that costs nothing, even without credits', async () => {
    const accountId = await bench.newAccount(0n);
    expect(await store.hold({ requestId: uuidv7(), accountId, totalNano: 0n })).toEqual({
      outcome: 'held',
      grantedNano: 0n,
      availableNano: 0n,
      escrowId: null,
    });
  });

  it('refuses amounts beyond any balance instead of failing', async () => {
    const accountId = await bench.newAccount(100n);
    expect(await store.hold({ requestId: uuidv7(), accountId, totalNano: 2n ** 80n })).toMatchObject({
      outcome: 'refused',
      availableNano: 100n,
    });
  });

  it('refuses an account that does not exist', async () => {
    expect(await store.hold({ requestId: uuidv7(), accountId: uuidv7(), totalNano: 0n })).toEqual({
      outcome: 'refused',
      availableNano: 0n,
    });
  });

  it('grants exactly twenty of two hundred at once on a balance of twenty', async () => {
    const accountId = await bench.newAccount(20_000n);
    const results = await Promise.all(
      requestIds(200).map((requestId) => store.hold({ requestId, accountId, totalNano: 1_000n })),
    );
    expect(results.filter(({ outcome }) => outcome === 'held')).toHaveLength(20);
    expect(results.filter(({ outcome }) => outcome === 'refused')).toHaveLength(180);
    expect(await bench.account(accountId)).toMatchObject({ posted: 20_000n, held: 20_000n });
  });

  it('grants exactly twenty of two hundred through four stores', async () => {
    const accountId = await bench.newAccount(20_000n);
    const stores = Array.from({ length: 4 }, () => new PostgresHoldStore(bench.app));
    const results = await Promise.all(
      requestIds(200).map((requestId, index) =>
        (stores[index % 4] ?? store).hold({ requestId, accountId, totalNano: 1_000n }),
      ),
    );
    expect(results.filter(({ outcome }) => outcome === 'held')).toHaveLength(20);
    expect(await bench.account(accountId)).toMatchObject({ held: 20_000n });
  });

  it('an unaffordable hold does not refuse the affordable one behind it', async () => {
    const accountId = await bench.newAccount(20n);
    const results = await Promise.all(
      [15n, 100n, 5n, 1n].map((totalNano) => store.hold({ requestId: uuidv7(), accountId, totalNano })),
    );
    expect(results.map(({ outcome }) => outcome)).toEqual(['held', 'refused', 'held', 'refused']);
  });
});

describe('asking again', () => {
  it('extends the hold to the new total, and never shrinks it', async () => {
    const accountId = await bench.newAccount(100n);
    const requestId = uuidv7();
    await store.hold({ requestId, accountId, totalNano: 30n });
    expect(await store.hold({ requestId, accountId, totalNano: 70n })).toEqual({
      outcome: 'held',
      grantedNano: 70n,
      availableNano: 30n,
      escrowId: null,
    });
    expect(await store.hold({ requestId, accountId, totalNano: 20n })).toEqual({
      outcome: 'held',
      grantedNano: 70n,
      availableNano: 30n,
      escrowId: null,
    });
    expect(await bench.account(accountId)).toMatchObject({ held: 70n });
  });

  it('places one hold for a request that asks twice at the same time', async () => {
    const accountId = await bench.newAccount(100n);
    const requestId = uuidv7();
    const ask = { requestId, accountId, totalNano: 60n };
    const results = await Promise.all([
      store.hold(ask),
      store.hold(ask),
      store.hold({ ...ask, totalNano: 90n }),
    ]);
    expect(results).toEqual(
      [60n, 60n, 90n].map((grantedNano) => ({
        outcome: 'held',
        grantedNano,
        availableNano: 100n - grantedNano,
        escrowId: null,
      })),
    );
    expect(await bench.account(accountId)).toMatchObject({ held: 90n });
  });

  it('keeps the hold as it is where an extension is refused', async () => {
    const accountId = await bench.newAccount(100n);
    const requestId = uuidv7();
    await store.hold({ requestId, accountId, totalNano: 80n });
    expect(await store.hold({ requestId, accountId, totalNano: 101n })).toEqual({
      outcome: 'refused',
      availableNano: 20n,
    });
    expect(await store.hold({ requestId, accountId, totalNano: 500n, leastNano: 81n })).toEqual({
      outcome: 'held',
      grantedNano: 100n,
      availableNano: 0n,
      escrowId: null,
    });
  });

  it('renews the hold', async () => {
    const accountId = await bench.newAccount(100n);
    const requestId = uuidv7();
    await store.hold({ requestId, accountId, totalNano: 80n });
    await bench.owner.query(`UPDATE tollgate.reservation SET deadline_at = now() WHERE id = $1`, [requestId]);
    await store.hold({ requestId, accountId, totalNano: 80n });
    expect((await reservation(requestId))?.['lives_seconds']).toBeGreaterThan(80);
  });

  it('a closed reservation is not a hold: settled too where the usage is recorded, or the id taken by another account', async () => {
    const accountId = await bench.newAccount(1_000n);
    const [closing = '', freed = '', settled = '', recorded = '', taken = ''] = requestIds(5);
    for (const requestId of [closing, freed, settled]) {
      await store.hold({ requestId, accountId, totalNano: 10n });
    }
    await store.close(closing, accountId, 5n);
    await store.close(freed, accountId, 0n);
    await settleBatch(bench.sql, [
      usageEvent(accountId, 5n, { requestId: settled }),
      usageEvent(accountId, 5n, { requestId: recorded }),
    ]);
    await store.hold({ requestId: taken, accountId: await bench.newAccount(10n), totalNano: 10n });
    for (const requestId of [closing, freed, settled, recorded, taken]) {
      expect(await store.hold({ requestId, accountId, totalNano: 10n })).toEqual({ outcome: 'settled' });
    }
    await settleBatch(bench.sql, [usageEvent(accountId, 5n, { requestId: closing })]);
  });
});

describe('touching', () => {
  it('renews the open holds and says which are open', async () => {
    const accountId = await bench.newAccount(1_000n);
    const [open = '', closed = '', unknown = ''] = requestIds(3);
    await store.hold({ requestId: open, accountId, totalNano: 10n });
    await store.hold({ requestId: closed, accountId, totalNano: 10n });
    await store.close(closed, accountId, 0n);
    await bench.owner.query(`UPDATE tollgate.reservation SET deadline_at = now() WHERE id = $1`, [open]);
    expect(await store.touch(touches(accountId, [open, closed, unknown]))).toEqual(
      new Map([
        [open, 'open'],
        [closed, 'gone'],
        [unknown, 'gone'],
      ]),
    );
    expect((await reservation(open))?.['lives_seconds']).toBeGreaterThan(80);
    expect(await store.touch([])).toEqual(new Map());
  });

  it('takes more than one batch of them', async () => {
    const accountId = await bench.newAccount(1_000n);
    const ids = requestIds(450);
    await Promise.all(ids.map((requestId) => store.hold({ requestId, accountId, totalNano: 1n })));
    expect(openOnes(await store.touch(touches(accountId, ids))).size).toBe(450);
  });
});

describe('closing', () => {
  it('keeps the cost set aside until it is settled, and frees the rest', async () => {
    const accountId = await bench.newAccount(100n);
    const requestId = uuidv7();
    await store.hold({ requestId, accountId, totalNano: 80n });
    await store.close(requestId, accountId, 30n);
    expect(await bench.account(accountId)).toMatchObject({ posted: 100n, held: 30n });
    expect(await reservation(requestId)).toMatchObject({ state: 'closing', granted: '80', released: '50' });
  });

  it('frees everything for nothing', async () => {
    const accountId = await bench.newAccount(100n);
    const requestId = uuidv7();
    await store.hold({ requestId, accountId, totalNano: 80n });
    await store.close(requestId, accountId, 0n);
    expect(await bench.account(accountId)).toMatchObject({ held: 0n });
    expect(await reservation(requestId)).toMatchObject({ state: 'closed' });
  });

  it('keeps the whole hold where the cost is above it', async () => {
    const accountId = await bench.newAccount(100n);
    const requestId = uuidv7();
    await store.hold({ requestId, accountId, totalNano: 80n });
    await store.close(requestId, accountId, 2n ** 70n);
    expect(await bench.account(accountId)).toMatchObject({ held: 80n });
  });

  it('does nothing the second time, to a settled request, or to one without a hold', async () => {
    const accountId = await bench.newAccount(100n);
    const [twice = '', settled = ''] = requestIds(2);
    for (const requestId of [twice, settled]) await store.hold({ requestId, accountId, totalNano: 40n });
    await settleBatch(bench.sql, [usageEvent(accountId, 10n, { requestId: settled })]);
    await Promise.all([store.close(twice, accountId, 30n), store.close(twice, accountId, 0n)]);
    await Promise.all([
      store.close(twice, accountId, 5n),
      store.close(settled, accountId, 0n),
      store.close(uuidv7(), accountId, 3n),
    ]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 90n, held: 30n });
  });

  it('does not expire with its deadline: the money waits for the usage event', async () => {
    const accountId = await bench.newAccount(100n);
    const requestId = uuidv7();
    await store.hold({ requestId, accountId, totalNano: 80n });
    await store.close(requestId, accountId, 30n);
    await bench.owner.query(
      `UPDATE tollgate.reservation SET deadline_at = now() - interval '4 minutes' WHERE id = $1`,
      [requestId],
    );
    await bench.sql('SELECT tollgate.expire_holds(100)');
    expect(await bench.account(accountId)).toMatchObject({ held: 30n });
  });
});

describe('an account that somebody keeps locked', () => {
  it('one locked account does not delay the other accounts of its micro-batch', async () => {
    const lockedId = await bench.newAccount(100n);
    const others = await Promise.all(Array.from({ length: 20 }, () => bench.newAccount(100n)));
    const unlock = await bench.lockAccount(lockedId);
    let decided = false;
    const waiting = store
      .hold({ requestId: uuidv7(), accountId: lockedId, totalNano: 10n })
      .finally(() => (decided = true));
    for (let round = 0; round < 3; round += 1) {
      const results = await Promise.all(
        others.map((accountId) => store.hold({ requestId: uuidv7(), accountId, totalNano: 10n })),
      );
      expect(results.every(({ outcome }) => outcome === 'held')).toBe(true);
    }
    expect(decided).toBe(false);
    await unlock();
    expect(await waiting).toEqual({ outcome: 'held', grantedNano: 10n, availableNano: 90n, escrowId: null });
  });

  it('decides its holds in their order once it is free', async () => {
    const accountId = await bench.newAccount(30n);
    const unlock = await bench.lockAccount(accountId);
    const waiting = Promise.all(
      requestIds(5).map((requestId) => store.hold({ requestId, accountId, totalNano: 10n })),
    );
    await store.hold({ requestId: uuidv7(), accountId: await bench.newAccount(1n), totalNano: 1n });
    const late = store.hold({ requestId: uuidv7(), accountId, totalNano: 10n });
    await unlock();
    const outcomes = [...(await waiting), await late].map(({ outcome }) => outcome);
    expect(outcomes).toEqual(['held', 'held', 'held', 'refused', 'refused', 'refused']);
  });

  it('is given up after a while, with nothing held', async () => {
    const accountId = await bench.newAccount(30n);
    const impatient = new PostgresHoldStore(bench.app, { busyMaxMs: 100 });
    const unlock = await bench.lockAccount(accountId);
    const hold = impatient.hold({ requestId: uuidv7(), accountId, totalNano: 10n });
    await expect(hold).rejects.toThrow(new HoldStoreUnavailableError('the account is locked'));
    await unlock();
    expect(await bench.account(accountId)).toMatchObject({ held: 0n });
  });

  it('still has its holds open, though they are not renewed', async () => {
    const [lockedId, otherId] = [await bench.newAccount(30n), await bench.newAccount(30n)];
    const [locked = '', other = ''] = requestIds(2);
    await store.hold({ requestId: locked, accountId: lockedId, totalNano: 10n });
    await store.hold({ requestId: other, accountId: otherId, totalNano: 10n });
    await bench.owner.query(`UPDATE tollgate.reservation SET deadline_at = now() WHERE id = ANY ($1)`, [
      [locked, other],
    ]);
    const unlock = await bench.lockAccount(lockedId);
    expect(openOnes(await store.touch(touches(lockedId, [locked, other])))).toEqual(new Set([locked, other]));
    expect((await reservation(other))?.['lives_seconds']).toBeGreaterThan(80);
    expect((await reservation(locked))?.['lives_seconds']).toBeLessThan(1);
    await unlock();
  });

  it('has its holds closed once it is free, and delays no other closing', async () => {
    const [lockedId, otherId] = [await bench.newAccount(30n), await bench.newAccount(30n)];
    const [locked = '', other = ''] = requestIds(2);
    await store.hold({ requestId: locked, accountId: lockedId, totalNano: 10n });
    await store.hold({ requestId: other, accountId: otherId, totalNano: 10n });
    const unlock = await bench.lockAccount(lockedId);
    const waiting = store.close(locked, lockedId, 0n);
    await store.close(other, otherId, 0n);
    expect(await bench.account(otherId)).toMatchObject({ held: 0n });
    await unlock();
    await waiting;
    expect(await bench.account(lockedId)).toMatchObject({ held: 0n });
  });
});

describe('a Postgres that is away', () => {
  it('makes every call fail as unavailable, and keeps the cause', async () => {
    const pool = createPool({ url: 'postgres://nobody@127.0.0.1:1/none', max: 2, name: 'away' });
    const away = new PostgresHoldStore(pool);
    const requestId = uuidv7();
    await expect(away.hold({ requestId, accountId: uuidv7(), totalNano: 1n })).rejects.toMatchObject({
      name: 'HoldStoreUnavailableError',
      cause: { code: 'ECONNREFUSED' },
    });
    await expect(away.touch(touches(uuidv7(), [requestId]))).rejects.toThrow(HoldStoreUnavailableError);
    await expect(away.close(requestId, uuidv7(), 1n)).rejects.toThrow(HoldStoreUnavailableError);
    await away.shutdown();
    await pool.end();
  });

  it('fails the batch whose connection is cut, holds nothing for it, and goes on', async () => {
    const accountId = await bench.newAccount(100n);
    const pool = createPool({ url: database.appUrl, max: 2, name: 'to-be-cut' });
    const cut = new PostgresHoldStore(pool);
    const unlock = await bench.lockAccount(accountId);
    let failure: unknown;
    const hold = cut
      .hold({ requestId: uuidv7(), accountId, totalNano: 10n })
      .catch((error: unknown) => (failure = error));
    while (failure === undefined) {
      await bench.owner.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE application_name = 'to-be-cut' AND datname = current_database()`,
      );
    }
    await hold;
    expect(failure).toBeInstanceOf(HoldStoreUnavailableError);
    await unlock();
    expect(await bench.account(accountId)).toMatchObject({ held: 0n });
    const again = await cut.hold({ requestId: uuidv7(), accountId, totalNano: 10n });
    expect(again).toEqual({ outcome: 'held', grantedNano: 10n, availableNano: 90n, escrowId: null });
    await cut.shutdown();
    await pool.end();
  });

  it('lets a request with a malformed id fail alone', async () => {
    const accountId = await bench.newAccount(100n);
    const good = store.hold({ requestId: uuidv7(), accountId, totalNano: 10n });
    const bad = store.hold({ requestId: 'no-uuid', accountId, totalNano: 10n });
    await expect(bad).rejects.toMatchObject({ code: '22P02' });
    expect(await good).toMatchObject({ outcome: 'held' });
  });
});
