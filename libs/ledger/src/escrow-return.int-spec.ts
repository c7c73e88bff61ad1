import {
  createTestDatabase,
  describeWithRedis,
  startRedis,
  type TestDatabase,
  type TestRedis,
} from '@tollgate/testing';
import type { Redis } from 'ioredis';
import type { Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { adjust, type AdjustResult } from './adjust.js';
import { accountWithEscrow, escrow, grantEscrow, passTime } from './escrow.spec-kit.js';
import {
  adjustWithShut,
  dueEscrows,
  finishEscrows,
  readStillHeld,
  shutEscrow,
  takingBack,
  wantedEscrow,
  type PocketShutter,
} from './escrow-return.js';
import { LedgerBench, usageEvent } from './ledger.spec-kit.js';
import { connectHoldRedis } from './redis/hold-redis.js';
import { RedisPockets } from './redis/redis-pockets.js';
import { setFloor, type SetFloorOutcome } from './set-floor.js';
import { settleBatch } from './settle-batch.js';
import type { Sql } from './sql.js';

// Real: Postgres, as the application role, and Redis where there is one.

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

const finish = (queueClearUntil = new Date()) =>
  finishEscrows(bench.sql, { queueClearUntil, escrowsMax: 1_000 });
const refund = (accountId: string, amountNano: bigint) =>
  ({ kind: 'refund', refId: uuidv7(), accountId, amountNano: -amountNano }) as const;

describe('an escrow that ends', () => {
  it('frees at once what was neither spent nor held, and the same answer again frees nothing', async () => {
    const { accountId, escrowId } = await accountWithEscrow(bench, 100n, 80n);
    expect(await shutEscrow(bench.sql, escrowId, { spentNano: 30n, heldNano: 10n })).toBe(40n);
    expect(await shutEscrow(bench.sql, escrowId, { spentNano: 30n, heldNano: 10n })).toBe(0n);
    expect(await escrow(bench, escrowId)).toBe('80 - 0 - 40 closing shut');
    await settleBatch(bench.sql, [usageEvent(accountId, 30n, { escrowId })]);
    expect(await shutEscrow(bench.sql, escrowId, null)).toBe(0n);
    expect(await bench.account(accountId)).toMatchObject({ posted: 70n, held: 10n });
  });

  it('frees nothing that is used beyond what its pocket knows', async () => {
    const { accountId, escrowId } = await accountWithEscrow(bench, 100n, 80n);
    await settleBatch(bench.sql, [usageEvent(accountId, 70n, { escrowId })]);
    expect(await shutEscrow(bench.sql, escrowId, { spentNano: 20n, heldNano: 60n })).toBe(0n);
    expect(await bench.account(accountId)).toMatchObject({ posted: 30n, held: 10n });
  });

  it('released never runs ahead of the stream fence plus the journal check', async () => {
    const { accountId, escrowId } = await accountWithEscrow(bench, 100n, 80n);
    await finish();
    expect(await escrow(bench, escrowId)).toBe('80 - 0 - 0 open');
    await shutEscrow(bench.sql, escrowId, null);
    await passTime(bench, '119 s', [escrowId]);
    expect(await finish()).toEqual([]);
    await passTime(bench, '2 s', [escrowId]);
    expect(await finish(new Date(Date.now() - 10_000))).toEqual([]);
    expect(await bench.account(accountId)).toMatchObject({ held: 80n });
    expect(await finish()).toEqual([{ escrowId, accountId, releasedNano: 80n }]);
    expect(await escrow(bench, escrowId)).toBe('80 - 0 - 80 closed shut');
    expect(await bench.account(accountId)).toMatchObject({ held: 0n });
  });

  it('cannot be closed by anybody before that', async () => {
    const { escrowId } = await accountWithEscrow(bench, 100n, 0n);
    const close = `UPDATE tollgate.reservation SET state = 'closed', changed_at = now() WHERE id = $1`;
    const refused = { constraint: 'reservation_escrow_closes_late' };
    await expect(bench.owner.query(close, [escrowId])).rejects.toMatchObject(refused);
    await shutEscrow(bench.sql, escrowId, null);
    await expect(bench.owner.query(close, [escrowId])).rejects.toMatchObject(refused);
  });

  it('crash between shut and release: the money is back within three minutes', async () => {
    const { accountId, escrowId } = await accountWithEscrow(bench, 100n, 80n);
    expect(await wantedEscrow(bench.sql, accountId)).toBe(escrowId);
    // Here the pocket was shut, and the process that knew what it had is gone.
    expect(await dueEscrows(bench.sql, 100)).toContainEqual({ escrowId, accountId });
    await shutEscrow(bench.sql, escrowId, null);
    await passTime(bench, '121 s', [escrowId]);
    await finish();
    expect(await bench.account(accountId)).toMatchObject({ posted: 100n, held: 0n });
    expect(await refundTakingBack(neverAsked, accountId, 100n)).toMatchObject({ outcome: 'booked' });
  });

  it('is due after five idle minutes or an hour, and until its pocket is shut', async () => {
    const fresh = await accountWithEscrow(bench, 100n, 10n);
    const idle = await accountWithEscrow(bench, 100n, 10n);
    const old = await accountWithEscrow(bench, 100n, 10n);
    const busy = await accountWithEscrow(bench, 100n, 10n);
    await passTime(bench, '6 min', [idle.escrowId, busy.escrowId]);
    await passTime(bench, '61 min', [old.escrowId]);
    await grantEscrow(bench, { accountId: old.accountId, escrowId: old.escrowId, totalNano: 20n });
    await settleBatch(bench.sql, [usageEvent(busy.accountId, 1n, { escrowId: busy.escrowId })]);
    for (const _ of [1, 2]) {
      const due = await dueEscrows(bench.sql, 100);
      expect(due).toEqual(expect.arrayContaining([idle, old]));
      expect(due.filter(({ escrowId }) => [fresh.escrowId, busy.escrowId].includes(escrowId))).toEqual([]);
    }
    for (const { escrowId } of [idle, old]) {
      await shutEscrow(bench.sql, escrowId, { spentNano: 0n, heldNano: 0n });
    }
    const due = (await dueEscrows(bench.sql, 100)).map(({ escrowId }) => escrowId);
    expect(due).not.toContain(idle.escrowId);
    expect(due).not.toContain(old.escrowId);
  });

  it('waits while its account is locked by somebody else, and holds up no other one', async () => {
    const [locked, other] = [
      await accountWithEscrow(bench, 100n, 10n),
      await accountWithEscrow(bench, 100n, 10n),
    ];
    const ids = [locked.escrowId, other.escrowId];
    for (const id of ids) await shutEscrow(bench.sql, id, null);
    await passTime(bench, '3 min', ids);
    const unlock = await bench.lockAccount(locked.accountId);
    const finished = (await finish()).map(({ escrowId }) => escrowId);
    expect(finished).toContain(other.escrowId);
    expect(finished).not.toContain(locked.escrowId);
    await unlock();
    expect((await finish()).map(({ escrowId }) => escrowId)).toContain(locked.escrowId);
  });

  it('that was never granted is nothing', async () => {
    expect(await shutEscrow(bench.sql, uuidv7(), null)).toBeNull();
    expect(await wantedEscrow(bench.sql, uuidv7())).toBeNull();
    const { escrowId } = await accountWithEscrow(bench, 100n, 10n);
    const stranger = await bench.newAccount(100n);
    await expect(
      adjustWithShut(bench.sql, refund(stranger, 1n), { escrowId, rest: { spentNano: 0n, heldNano: 0n } }),
    ).rejects.toMatchObject({ code: '22023' });
    expect(await escrow(bench, escrowId)).toBe('10 - 0 - 0 open');
  });

  it('is shut though nothing can be booked', async () => {
    const { accountId, escrowId } = await accountWithEscrow(bench, 100n, 80n);
    const rest = { spentNano: 50n, heldNano: 10n };
    expect(await adjustWithShut(bench.sql, refund(accountId, 50n), { escrowId, rest })).toEqual({
      outcome: 'would_break_floor',
    });
    expect(await escrow(bench, escrowId)).toBe('80 - 0 - 20 closing shut');
  });

  it('gives its money to the booking, whoever asks for a new escrow at the same time', async () => {
    for (let round = 0; round < 20; round += 1) {
      const { accountId, escrowId } = await accountWithEscrow(bench, 100n, 100n);
      const rest = { spentNano: 0n, heldNano: 0n };
      const [booked] = await Promise.all([
        adjustWithShut(bench.sql, refund(accountId, 100n), { escrowId, rest }),
        grantEscrow(bench, { accountId, escrowId: uuidv7(), totalNano: 100n }),
        grantEscrow(bench, { accountId, escrowId: uuidv7(), totalNano: 100n }),
      ]);
      expect(booked.outcome).toBe('booked');
    }
  });
});

const neverAsked = {
  shut: () => Promise.reject(new Error('no pocket is asked while nothing is set aside')),
};

/** Books in one transaction, after what is set aside came back. */
async function bookTakingBack<Result>(
  shutter: PocketShutter,
  accountId: string,
  { book, isShort }: { book: (sql: Sql) => Promise<Result>; isShort: (result: Result) => boolean },
): Promise<Result> {
  return takingBack({
    sql: bench.sql,
    pockets: shutter,
    accountId,
    book: (release) =>
      inTransaction(bench.app, async (sql) => {
        await release(sql);
        return book(sql);
      }),
    isShort,
  });
}

const refundTakingBack = (shutter: PocketShutter, accountId: string, amount: bigint): Promise<AdjustResult> =>
  bookTakingBack<AdjustResult>(shutter, accountId, {
    book: (sql) => adjust(sql, refund(accountId, amount)),
    isShort: ({ outcome }) => outcome === 'would_break_floor',
  });

async function inTransaction<T>(pool: Pool, work: (sql: Sql) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const result = await work(async (text, params) => (await client.query(text, params)).rows);
    await client.query('COMMIT');
    return result;
  } finally {
    client.release();
  }
}

let redis: TestRedis;
let connection: Redis;
let pockets: RedisPockets;

/** An account with `balance`, all of it in a pocket, of which requests that run hold `held`. */
async function pocketOf(balance: bigint, held: bigint) {
  const accountId = await bench.newAccount(balance);
  const ask = {
    requestId: uuidv7(),
    accountId,
    totalNano: held,
    leastNano: held,
    freshEscrowId: uuidv7(),
    ttlSeconds: 90,
  };
  const { escrowId } = await pockets.hold(ask);
  const { granted, available } = await grantEscrow(bench, { accountId, escrowId, totalNano: balance });
  await pockets.grant(accountId, escrowId, { grantedNano: granted, availableNano: available });
  expect(await pockets.hold(ask)).toMatchObject({ outcome: 'held' });
  return { accountId, escrowId, ask };
}

describeWithRedis('money that is set aside for Redis', () => {
  beforeAll(async () => {
    redis = await startRedis();
    connection = connectHoldRedis(redis.url);
    connection.on('error', () => undefined);
    await new Promise((resolve) => connection.once('ready', resolve));
    pockets = new RedisPockets(connection);
  });

  afterAll(async () => {
    connection.disconnect();
    await redis.remove();
  });

  it('withdrawal of money in escrow succeeds while requests run', async () => {
    const { accountId, escrowId, ask } = await pocketOf(100n, 30n);
    const result = await refundTakingBack(pockets, accountId, 70n);
    expect(result).toMatchObject({ outcome: 'booked', transfer: { balanceAfterNano: 30n } });
    expect(await bench.account(accountId)).toMatchObject({ posted: 30n, held: 30n });
    await pockets.close(ask.requestId, accountId, 25n);
    await settleBatch(bench.sql, [usageEvent(accountId, 25n, { requestId: ask.requestId, escrowId })]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 5n, held: 5n });
  });

  it('…and says what running requests hold', async () => {
    const { accountId, escrowId } = await pocketOf(100n, 30n);
    expect(await refundTakingBack(pockets, accountId, 80n)).toEqual({ outcome: 'would_break_floor' });
    expect(await readStillHeld(bench.sql, accountId)).toEqual({ freeNano: 70n, runningNano: 30n });
    expect(await escrow(bench, escrowId)).toBe('100 - 0 - 70 closing shut');
  });

  it('raising the floor, expiry and refund take back escrow first', async () => {
    const { accountId } = await pocketOf(100n, 30n);
    const raise = (floorNano: bigint) =>
      bookTakingBack<SetFloorOutcome>(pockets, accountId, {
        book: (sql) => setFloor(sql, { accountId, floorNano }),
        isShort: (outcome) => outcome === 'would_break_floor',
      });
    expect(await raise(60n)).toBe('set');
    expect(await raise(80n)).toBe('would_break_floor');
    expect(await readStillHeld(bench.sql, accountId)).toEqual({ freeNano: 10n, runningNano: 30n });
    expect(await refundTakingBack(pockets, accountId, 10n)).toMatchObject({ outcome: 'booked' });
    expect(await bench.account(accountId)).toMatchObject({ posted: 90n, held: 30n, floor: 60n });
  });

  it('idle for five minutes: held is zero and the pocket is gone', async () => {
    const { accountId, escrowId, ask } = await pocketOf(100n, 30n);
    await pockets.close(ask.requestId, accountId, 0n);
    await passTime(bench, '6 min', [escrowId]);
    expect(await dueEscrows(bench.sql, 100)).toContainEqual({ escrowId, accountId });
    await shutEscrow(bench.sql, escrowId, await pockets.shut(accountId, escrowId));
    expect(await bench.account(accountId)).toMatchObject({ posted: 100n, held: 0n });
    expect(await pockets.shut(accountId, escrowId)).toBeNull();
    await passTime(bench, '3 min', [escrowId]);
    await finish();
    expect(await escrow(bench, escrowId)).toBe('100 - 0 - 100 closed shut');
  });
});
