import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { openEscrows, pocketsWithoutEscrow, sumEscrows } from './escrow-drift.js';
import { returnEscrows, shutEscrow } from './escrow-return.js';
import { accountWithEscrow, escrow, passTime } from './escrow.spec-kit.js';
import { LedgerBench } from './ledger.spec-kit.js';

// Real: Postgres, as the application role.

let database: TestDatabase;
let bench: LedgerBench;

beforeAll(async () => {
  database = await createTestDatabase();
  bench = new LedgerBench(database);
});

afterAll(async () => {
  expect(await bench.violations()).toEqual([]);
  await bench.close();
  await database.drop();
});

describe('escrows that pockets are compared with', () => {
  it('are the open ones that nobody asked for just now, by account, slice by slice', async () => {
    const all = [];
    for (let count = 0; count < 3; count += 1) all.push(await accountWithEscrow(bench, 100n, 10n));
    const young = await accountWithEscrow(bench, 100n, 10n);
    await passTime(
      bench,
      '1 min',
      all.map(({ escrowId }) => escrowId),
    );
    const [first, second, third] = all.sort((a, b) => (a.accountId < b.accountId ? -1 : 1));
    expect(await openEscrows(bench.sql, '00000000-0000-0000-0000-000000000000', 2)).toEqual([first, second]);
    expect(await openEscrows(bench.sql, second?.accountId ?? '', 2)).toEqual([third]);
    expect(await escrow(bench, young.escrowId)).toBe('10 - 0 - 0 open');
  });

  it('are set closing where their pockets are gone, unless they are locked, and others are left as they are', async () => {
    const [one, other, ended] = [
      await accountWithEscrow(bench, 100n, 10n),
      await accountWithEscrow(bench, 100n, 10n),
      await accountWithEscrow(bench, 100n, 10n),
    ];
    await shutEscrow(bench.sql, ended.escrowId, null);
    const unlock = await bench.lockAccount(other.accountId);
    const ids = [one, other, ended].map(({ escrowId }) => escrowId);
    expect(await returnEscrows(bench.sql, [...ids, uuidv7()])).toEqual([one.escrowId]);
    await unlock();
    expect(await returnEscrows(bench.sql, ids)).toEqual([other.escrowId]);
    expect(await escrow(bench, one.escrowId)).toBe('10 - 0 - 0 closing');
    expect(await escrow(bench, ended.escrowId)).toBe('10 - 0 - 0 closing shut');
  });

  it('end those pockets that still draw on what is shut, closed, or was never granted', async () => {
    const [open, closing, shut] = [
      await accountWithEscrow(bench, 100n, 10n),
      await accountWithEscrow(bench, 100n, 10n),
      await accountWithEscrow(bench, 100n, 10n),
    ];
    await returnEscrows(bench.sql, [closing.escrowId]);
    await shutEscrow(bench.sql, shut.escrowId, null);
    const unknown = { accountId: open.accountId, escrowId: uuidv7() };
    const pockets = [open, closing, shut, unknown].map((one) => ({ ...one, isFilled: true }));
    const making = { ...unknown, escrowId: uuidv7(), isFilled: false };
    const found = await pocketsWithoutEscrow(bench.sql, [...pockets, making]);
    expect(found.map(({ escrowId }) => escrowId)).toEqual([shut.escrowId, unknown.escrowId]);
  });

  it('are counted by state with what they hold', async () => {
    const { rows } = await bench.owner.query(
      `SELECT state, count(*)::int, sum(granted - used - released)::text AS amount FROM tollgate.reservation
        WHERE kind = 'escrow' AND state <> 'closed' GROUP BY state`,
    );
    const totals = await sumEscrows(bench.sql);
    expect(totals.map(({ state }) => state).sort()).toEqual(['closing', 'open']);
    for (const { state, count, amountNano } of totals) {
      const row = rows.find((one) => one.state === state);
      expect([count, amountNano.toString()]).toEqual([row?.count, row?.amount]);
    }
  });
});
