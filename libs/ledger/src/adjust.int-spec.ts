import { createDataSource, listenForChanges } from '@tollgate/persistence';
import { createTestDatabase, eventually, type TestDatabase } from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { adjust, type Adjustment } from './adjust.js';
import { getBalance } from './balance.js';
import { LedgerBench, usageEvent } from './ledger.spec-kit.js';
import { PostgresHoldStore } from './postgres-hold-store.js';
import { settleBatch } from './settle-batch.js';

// Real: Postgres, as the application role.

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

const topUp = (accountId: string, amountNano: bigint, refId = uuidv7()): Adjustment => ({
  kind: 'top_up',
  refId,
  accountId,
  amountNano,
});

describe('booking', () => {
  it('adds a top-up and answers the transfer', async () => {
    const accountId = await bench.newAccount(0n);
    const refId = uuidv7();
    const result = await adjust(bench.sql, {
      ...topUp(accountId, 500n, refId),
      reference: 'invoice 7',
      note: 'thank you',
    });
    expect(result).toEqual({
      outcome: 'booked',
      transfer: {
        id: expect.stringMatching(/^\d+$/),
        kind: 'top_up',
        refId,
        accountId,
        amountNano: 500n,
        accountSeq: 1n,
        balanceAfterNano: 500n,
        reference: 'invoice 7',
        note: 'thank you',
        createdAt: expect.any(Date),
      },
    });
    expect(await getBalance(bench.sql, accountId)).toEqual({
      postedNano: 500n,
      heldNano: 0n,
      availableNano: 500n,
      floorNano: 0n,
      setAsideNano: 0n,
    });
  });

  it('names the other side by the kind', async () => {
    const accountId = await bench.newAccount(100n);
    const ofKind = { grant: 10n, refund: -20n, adjustment: -5n } as const;
    for (const [kind, amountNano] of Object.entries(ofKind)) {
      const booked = await bench.sql(
        'SELECT outcome, amount FROM tollgate.adjust($1, $2, $3, $4, NULL, NULL)',
        [kind, uuidv7(), accountId, amountNano.toString()],
      );
      expect(booked).toEqual([{ outcome: 'booked', amount: amountNano.toString() }]);
    }
    const sides = await bench.sql(
      `SELECT kind, right(debit_id::text, 2) AS debit, right(credit_id::text, 2) AS credit
         FROM tollgate.transfer WHERE account_id = $1 ORDER BY account_seq`,
      [accountId],
    );
    const account = accountId.slice(-2);
    expect(sides).toEqual([
      { kind: 'top_up', debit: '03', credit: account },
      { kind: 'grant', debit: '04', credit: account },
      { kind: 'refund', debit: account, credit: '03' },
      { kind: 'adjustment', debit: account, credit: '05' },
    ]);
  });

  it('takes away down to the floor, not below it, and not what requests hold', async () => {
    const accountId = await bench.newAccount(100n, -10n);
    const store = new PostgresHoldStore(bench.app);
    await store.hold({ requestId: uuidv7(), accountId, totalNano: 60n });
    const take = { kind: 'adjustment', accountId } as const;
    expect(await adjust(bench.sql, { ...take, refId: uuidv7(), amountNano: -51n })).toEqual({
      outcome: 'would_break_floor',
    });
    expect(await adjust(bench.sql, { ...take, refId: uuidv7(), amountNano: -50n })).toMatchObject({
      outcome: 'booked',
    });
    expect(await bench.account(accountId)).toEqual({ posted: 50n, held: 60n, floor: -10n, seq: 2n });
  });

  it.each<[string, Adjustment['kind'], bigint]>([
    ['nothing', 'adjustment', 0n],
    ['a negative top-up', 'top_up', -1n],
    ['a negative grant', 'grant', -1n],
    ['a positive refund', 'refund', 1n],
    ['more than 9,000,000 credits', 'top_up', 9_000_000_000_000_001n],
    ['more than fits a column', 'top_up', 2n ** 90n],
    ['less than fits a column', 'adjustment', -(2n ** 90n)],
  ])('refuses %s as out of range', async (_, kind, amountNano) => {
    const accountId = await bench.newAccount(100n);
    expect(await adjust(bench.sql, { kind, refId: uuidv7(), accountId, amountNano })).toEqual({
      outcome: 'out_of_range',
    });
  });

  it('refuses what would lift the account above 9,000,000 credits', async () => {
    const accountId = await bench.newAccount(1n);
    const most = 9_000_000_000_000_000n;
    expect(await adjust(bench.sql, topUp(accountId, most))).toEqual({ outcome: 'out_of_range' });
    expect(await adjust(bench.sql, topUp(accountId, most - 1n))).toMatchObject({ outcome: 'booked' });
  });

  it('says that an account is unknown', async () => {
    expect(await adjust(bench.sql, topUp(uuidv7(), 1n))).toEqual({ outcome: 'unknown_account' });
  });

  it('refuses the kinds that usage makes', async () => {
    const accountId = await bench.newAccount(1n);
    const usage = bench.sql(`SELECT * FROM tollgate.adjust('usage', $1, $2, 1, NULL, NULL)`, [
      uuidv7(),
      accountId,
    ]);
    await expect(usage).rejects.toMatchObject({ code: '22023' });
  });
});

describe('the same reference again', () => {
  it('books nothing and answers the first transfer, even where the money would no longer be there', async () => {
    const accountId = await bench.newAccount(100n);
    const take: Adjustment = { kind: 'refund', refId: uuidv7(), accountId, amountNano: -80n };
    const first = await adjust(bench.sql, take);
    expect(await adjust(bench.sql, take)).toEqual({ ...first, outcome: 'again' });
    expect(await bench.account(accountId)).toMatchObject({ posted: 20n, seq: 2n });
  });

  it('is an error with another amount or another account', async () => {
    const [accountId, otherId] = [await bench.newAccount(0n), await bench.newAccount(0n)];
    const refId = uuidv7();
    await adjust(bench.sql, topUp(accountId, 10n, refId));
    expect(await adjust(bench.sql, topUp(accountId, 11n, refId))).toEqual({ outcome: 'conflict' });
    expect(await adjust(bench.sql, topUp(otherId, 10n, refId))).toEqual({ outcome: 'conflict' });
    expect(await bench.account(otherId)).toMatchObject({ posted: 0n, seq: 0n });
  });

  it('is an error for the other account of a correction', async () => {
    const [accountId, otherId] = [await bench.newAccount(50n), await bench.newAccount(50n)];
    const correction = { kind: 'adjustment', refId: uuidv7() } as const;
    await adjust(bench.sql, { ...correction, accountId, amountNano: 10n });
    expect(await adjust(bench.sql, { ...correction, accountId: otherId, amountNano: -10n })).toEqual({
      outcome: 'conflict',
    });
  });

  it('is free for another kind', async () => {
    const accountId = await bench.newAccount(0n);
    const refId = uuidv7();
    await adjust(bench.sql, topUp(accountId, 10n, refId));
    expect(await adjust(bench.sql, { ...topUp(accountId, 10n, refId), kind: 'grant' })).toMatchObject({
      outcome: 'booked',
    });
  });

  it('books once however many ask at the same time', async () => {
    const accountId = await bench.newAccount(0n);
    const refId = uuidv7();
    const results = await Promise.all(
      Array.from({ length: 20 }, () => adjust(bench.sql, topUp(accountId, 10n, refId))),
    );
    expect(results.filter(({ outcome }) => outcome === 'booked')).toHaveLength(1);
    expect(results.filter(({ outcome }) => outcome === 'again')).toHaveLength(19);
    expect(await bench.account(accountId)).toMatchObject({ posted: 10n, seq: 1n });
  });

  it('books for one of many accounts that ask at the same time', async () => {
    const accounts = await Promise.all(Array.from({ length: 10 }, () => bench.newAccount(0n)));
    const refId = uuidv7();
    const results = await Promise.all(
      accounts.map((accountId) => adjust(bench.sql, topUp(accountId, 10n, refId))),
    );
    expect(results.filter(({ outcome }) => outcome === 'booked')).toHaveLength(1);
    expect(results.filter(({ outcome }) => outcome === 'conflict')).toHaveLength(9);
  });
});

describe('in a transaction', () => {
  it('takes part in it: rolled back, nothing is booked', async () => {
    const accountId = await bench.newAccount(0n);
    const dataSource = createDataSource(database.appUrl);
    await dataSource.initialize();
    const rolledBack = dataSource.transaction(async (manager) => {
      const sql = (text: string, params?: unknown[]) => manager.query(text, params);
      expect(await adjust(sql, topUp(accountId, 10n))).toMatchObject({ outcome: 'booked' });
      throw new Error('the rest failed');
    });
    await expect(rolledBack).rejects.toThrow('the rest failed');
    await dataSource.destroy();
    expect(await bench.account(accountId)).toMatchObject({ posted: 0n, seq: 0n });
  });
});

describe('gateways', () => {
  it('are told at once when credits come in, and of nothing else that moves', async () => {
    const accountId = await bench.newAccount(100n);
    const tables: (string | null)[] = [];
    const listener = await listenForChanges({
      url: database.appUrl,
      onChange: ({ table }) => void tables.push(table),
    });
    await adjust(bench.sql, { kind: 'refund', refId: uuidv7(), accountId, amountNano: -1n });
    await adjust(bench.sql, { kind: 'adjustment', refId: uuidv7(), accountId, amountNano: -1n });
    await settleBatch(bench.sql, [usageEvent(accountId, 5n), usageEvent(accountId, 5n, { swept: true })]);
    await adjust(bench.sql, topUp(accountId, 5n));
    await eventually(async () => expect(tables).toEqual(['balance']));
    await adjust(bench.sql, { kind: 'grant', refId: uuidv7(), accountId, amountNano: 1n });
    await adjust(bench.sql, { kind: 'adjustment', refId: uuidv7(), accountId, amountNano: 1n });
    await eventually(async () => expect(tables).toEqual(['balance', 'balance', 'balance']));
    await listener.close();
  });
});

describe('getBalance', () => {
  it('knows no account that does not exist', async () => {
    expect(await getBalance(bench.sql, uuidv7())).toBeNull();
  });

  it('shows what requests hold, and what is set aside for Redis apart from it', async () => {
    const accountId = await bench.newAccount(100n, -10n);
    await new PostgresHoldStore(bench.app).hold({ requestId: uuidv7(), accountId, totalNano: 30n });
    await bench.owner.query(
      `INSERT INTO tollgate.reservation (id, account_id, kind, granted) VALUES ($1, $2, 'escrow', 20)`,
      [uuidv7(), accountId],
    );
    await bench.owner.query('UPDATE tollgate.account SET held = held + 20 WHERE id = $1', [accountId]);
    expect(await getBalance(bench.sql, accountId)).toEqual({
      postedNano: 100n,
      heldNano: 30n,
      availableNano: 80n,
      floorNano: -10n,
      setAsideNano: 20n,
    });
  });
});
