import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { getBalance } from './balance.js';
import { PostgresEscrowLedger } from './escrow-ledger.js';
import { accountWithEscrow, escrow, grantEscrow, passTime } from './escrow.spec-kit.js';
import { finishEscrows, shutEscrow } from './escrow-return.js';
import { LedgerBench, requestIds, usageEvent } from './ledger.spec-kit.js';
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

describe('grant_escrow', () => {
  it('grants a total once, however often it is asked for, and never less', async () => {
    const { accountId, escrowId } = await accountWithEscrow(bench, 100n, 30n);
    expect(await grantEscrow(bench, { accountId, escrowId, totalNano: 30n })).toMatchObject({
      granted: 30n,
      available: 70n,
    });
    expect(await grantEscrow(bench, { accountId, escrowId, totalNano: 20n })).toMatchObject({
      granted: 30n,
      available: 70n,
    });
    expect(await grantEscrow(bench, { accountId, escrowId, totalNano: 45n })).toEqual({
      outcome: 'open',
      granted: 45n,
      available: 55n,
      returning: 0n,
    });
    expect(await bench.account(accountId)).toMatchObject({ posted: 100n, held: 45n });
  });

  it('gives what is left where that is less, and never what is below the floor', async () => {
    const accountId = await bench.newAccount(100n, -20n);
    const escrowId = uuidv7();
    const [requestId = ''] = requestIds(1);
    await store.hold({ requestId, accountId, totalNano: 50n });
    expect(await grantEscrow(bench, { accountId, escrowId, totalNano: 500n })).toMatchObject({
      granted: 70n,
      available: 0n,
    });
    expect(await bench.account(accountId)).toMatchObject({ posted: 100n, held: 120n });
    expect(await getBalance(bench.sql, accountId)).toMatchObject({ heldNano: 50n, setAsideNano: 70n });
  });

  it('opens an escrow of nothing for an empty account, and fills it when there is money', async () => {
    const { accountId, escrowId } = await accountWithEscrow(bench, 0n, 10n);
    expect(await escrow(bench, escrowId)).toBe('0 - 0 - 0 open');
    await bench.sql(`SELECT tollgate.adjust('top_up', $1, $2, 50, NULL, NULL)`, [uuidv7(), accountId]);
    expect(await grantEscrow(bench, { accountId, escrowId, totalNano: 10n })).toMatchObject({
      granted: 10n,
      available: 40n,
    });
  });

  it('closes the escrow before when another one begins, and says what is on its way back', async () => {
    const { accountId, escrowId } = await accountWithEscrow(bench, 100n, 60n);
    const second = await grantEscrow(bench, { accountId, escrowId: uuidv7(), totalNano: 60n });
    expect(second).toEqual({ outcome: 'open', granted: 40n, available: 0n, returning: 60n });
    expect(await escrow(bench, escrowId)).toBe('60 - 0 - 0 closing');
    expect(await grantEscrow(bench, { accountId, escrowId, totalNano: 90n })).toMatchObject({
      outcome: 'closing',
      granted: 60n,
    });
  });

  it('two gateways start a cold account: one escrow', async () => {
    const accountId = await bench.newAccount(100n);
    const escrowId = uuidv7();
    await Promise.all(
      [40n, 60n].map((total) => grantEscrow(bench, { accountId, escrowId, totalNano: total })),
    );
    expect(await escrow(bench, escrowId)).toBe('60 - 0 - 0 open');
  });

  it('fifty gateways refill at once: one total', async () => {
    const { accountId, escrowId } = await accountWithEscrow(bench, 10_000n, 1n);
    await Promise.all(
      Array.from({ length: 50 }, () => grantEscrow(bench, { accountId, escrowId, totalNano: 120n })),
    );
    expect(await bench.account(accountId)).toMatchObject({ held: 120n });
  });

  it('gateways with escrows of their own leave one open', async () => {
    const accountId = await bench.newAccount(1_000n);
    await Promise.all(
      Array.from({ length: 20 }, () => grantEscrow(bench, { accountId, escrowId: uuidv7(), totalNano: 10n })),
    );
    const open = await bench.sql(
      `SELECT state, count(*)::int FROM tollgate.reservation WHERE account_id = $1 GROUP BY state ORDER BY state`,
      [accountId],
    );
    expect(open).toEqual([
      { state: 'closing', count: 19 },
      { state: 'open', count: 1 },
    ]);
    expect(await bench.account(accountId)).toMatchObject({ held: 200n });
  });

  it('suspended account gets no grant', async () => {
    const { accountId, escrowId } = await accountWithEscrow(bench, 100n, 30n);
    await bench.sql(`UPDATE tollgate.account SET status = 'suspended' WHERE id = $1`, [accountId]);
    expect(await grantEscrow(bench, { accountId, escrowId, totalNano: 90n })).toMatchObject({
      outcome: 'suspended',
      granted: 30n,
    });
    expect(await grantEscrow(bench, { accountId, escrowId: uuidv7(), totalNano: 90n })).toMatchObject({
      outcome: 'suspended',
      granted: 0n,
    });
    expect(await escrow(bench, escrowId)).toBe('30 - 0 - 0 open');
  });

  it('knows no account that does not exist, and no escrow of another one', async () => {
    expect(
      await grantEscrow(bench, { accountId: uuidv7(), escrowId: uuidv7(), totalNano: 1n }),
    ).toMatchObject({ outcome: 'unknown_account' });
    const { escrowId } = await accountWithEscrow(bench, 100n, 30n);
    const other = await bench.newAccount(100n);
    await expect(grantEscrow(bench, { accountId: other, escrowId, totalNano: 90n })).rejects.toMatchObject({
      code: '22023',
    });
    await expect(
      grantEscrow(bench, { accountId: other, escrowId: uuidv7(), totalNano: -1n }),
    ).rejects.toMatchObject({ code: '22023' });
  });
});

describe('usage of an escrow', () => {
  it('draws on the escrow that it names, and leaves what is available alone', async () => {
    const { accountId, escrowId } = await accountWithEscrow(bench, 100n, 60n);
    expect(await settleBatch(bench.sql, [usageEvent(accountId, 25n, { escrowId })])).toMatchObject([
      { outcome: 'settled', chargedNano: 25n, absorbedNano: 0n },
    ]);
    expect(await escrow(bench, escrowId)).toBe('60 - 25 - 0 open');
    expect(await bench.account(accountId)).toMatchObject({ posted: 75n, held: 35n });
  });

  it('draws on its own hold first, then on the escrow, then on what is available', async () => {
    const { accountId, escrowId } = await accountWithEscrow(bench, 100n, 30n);
    const [requestId = ''] = requestIds(1);
    await store.hold({ requestId, accountId, totalNano: 20n });
    await settleBatch(bench.sql, [usageEvent(accountId, 75n, { requestId, escrowId })]);
    expect(await escrow(bench, escrowId)).toBe('30 - 30 - 0 open');
    expect(await bench.account(accountId)).toMatchObject({ posted: 25n, held: 0n });
  });

  it('of an escrow of another account, or of none, is paid out of what is available', async () => {
    const { escrowId } = await accountWithEscrow(bench, 100n, 60n);
    const accountId = await bench.newAccount(100n);
    await settleBatch(bench.sql, [
      usageEvent(accountId, 25n, { escrowId }),
      usageEvent(accountId, 5n, { escrowId: uuidv7() }),
    ]);
    expect(await escrow(bench, escrowId)).toBe('60 - 0 - 0 open');
    expect(await bench.account(accountId)).toMatchObject({ posted: 70n, held: 0n });
  });

  it('a late event of a closed escrow draws on the current one before anything is absorbed', async () => {
    const { accountId, escrowId: closed } = await accountWithEscrow(bench, 100n, 60n);
    await shutEscrow(bench.sql, closed, { spentNano: 0n, heldNano: 0n });
    await passTime(bench, '3 min', [closed]);
    await finishEscrows(bench.sql, { queueClearUntil: new Date(), escrowsMax: 1_000 });
    const current = uuidv7();
    await grantEscrow(bench, { accountId, escrowId: current, totalNano: 100n });
    const late = [
      usageEvent(accountId, 30n, { escrowId: closed }),
      usageEvent(accountId, 20n, { escrowId: closed }),
    ];
    const settled = await settleBatch(bench.sql, late);
    expect(settled).toMatchObject([
      { chargedNano: 30n, absorbedNano: 0n },
      { chargedNano: 20n, absorbedNano: 0n },
    ]);
    expect(await escrow(bench, current)).toBe('100 - 0 - 50 closing');
    await settleBatch(bench.sql, [usageEvent(accountId, 70n, { escrowId: closed })]);
    expect(await escrow(bench, current)).toBe('100 - 0 - 100 closing');
    expect(await bench.account(accountId)).toMatchObject({ posted: 0n, held: 0n });
  });

  it('that a late event drew on keeps enough for what its own pocket spent and holds', async () => {
    const { accountId, escrowId } = await accountWithEscrow(bench, 100n, 100n);
    const spent = usageEvent(accountId, 40n, { escrowId });
    await settleBatch(bench.sql, [spent, usageEvent(accountId, 30n)]);
    // The pocket had spent 50, of which 10 are still to be settled, and held 15.
    expect(await shutEscrow(bench.sql, escrowId, { spentNano: 50n, heldNano: 15n })).toBe(5n);
    expect(await escrow(bench, escrowId)).toBe('100 - 40 - 35 closing shut');
    await settleBatch(bench.sql, [
      usageEvent(accountId, 10n, { escrowId }),
      usageEvent(accountId, 15n, { escrowId }),
    ]);
    expect(await escrow(bench, escrowId)).toBe('100 - 65 - 35 closing shut');
    expect(await bench.account(accountId)).toMatchObject({ posted: 5n, held: 0n });
  });

  it('that was swept comes back before the escrow is drawn on again', async () => {
    const { accountId, escrowId } = await accountWithEscrow(bench, 100n, 60n);
    const event = usageEvent(accountId, 30n, { escrowId });
    await settleBatch(bench.sql, [{ ...event, costNano: '20', swept: true }]);
    expect(await escrow(bench, escrowId)).toBe('60 - 20 - 0 open');
    await settleBatch(bench.sql, [event]);
    expect(await escrow(bench, escrowId)).toBe('60 - 30 - 0 open');
    expect(await bench.account(accountId)).toMatchObject({ posted: 70n, held: 30n });
  });

  it('is absorbed only where neither account nor escrow has anything, and if it was swept not even then', async () => {
    const { accountId, escrowId } = await accountWithEscrow(bench, 50n, 20n);
    expect(await settleBatch(bench.sql, [usageEvent(accountId, 80n, { escrowId })])).toMatchObject([
      { chargedNano: 50n, absorbedNano: 30n },
    ]);
    expect(
      await settleBatch(bench.sql, [usageEvent(accountId, 9n, { escrowId, swept: true })]),
    ).toMatchObject([{ outcome: 'settled', chargedNano: 0n, absorbedNano: 0n }]);
    expect(await escrow(bench, escrowId)).toBe('20 - 20 - 0 open');
  });

  it('goes on in a batch with what the events before left of the escrow', async () => {
    const { accountId, escrowId } = await accountWithEscrow(bench, 100n, 50n);
    const events = requestIds(5).map((requestId) => usageEvent(accountId, 18n, { requestId, escrowId }));
    expect((await settleBatch(bench.sql, events)).every(({ absorbedNano }) => absorbedNano === 0n)).toBe(
      true,
    );
    expect(await escrow(bench, escrowId)).toBe('50 - 50 - 0 open');
    expect(await bench.account(accountId)).toMatchObject({ posted: 10n, held: 0n });
  });
});

describe('grants at the same time', () => {
  it('of many accounts share a statement, each with its own answer', async () => {
    const statements: string[] = [];
    const ledger = new PostgresEscrowLedger((text, params) => {
      statements.push(text);
      return bench.sql(text, params);
    });
    const rich = await Promise.all(Array.from({ length: 20 }, () => bench.newAccount(100n)));
    const [poor, unknown] = [await bench.newAccount(5n), uuidv7()];
    const asked = [...rich, poor, unknown];
    const answers = await Promise.all(asked.map((accountId) => ledger.grant(accountId, uuidv7(), 30n)));
    expect(answers.slice(0, 20)).toEqual(
      rich.map(() => ({ outcome: 'open', grantedNano: 30n, availableNano: 70n, returningNano: 0n })),
    );
    expect(answers[20]).toMatchObject({ outcome: 'open', grantedNano: 5n, availableNano: 0n });
    expect(answers[21]).toMatchObject({ outcome: 'unknown_account', grantedNano: 0n });
    expect(statements).toHaveLength(1);
  });

  it('do not wait for an account that somebody else has locked', async () => {
    const ledger = new PostgresEscrowLedger(bench.sql);
    const [locked, free] = [await bench.newAccount(100n), await bench.newAccount(100n)];
    const unlock = await bench.lockAccount(locked);
    const late = ledger.grant(locked, uuidv7(), 30n);
    expect(await ledger.grant(free, uuidv7(), 30n)).toMatchObject({ outcome: 'open', grantedNano: 30n });
    await unlock();
    expect(await late).toMatchObject({ outcome: 'open', grantedNano: 30n });
  });

  it('reject for an account that stays locked, and grant nothing', async () => {
    const ledger = new PostgresEscrowLedger(bench.sql);
    const accountId = await bench.newAccount(100n);
    const unlock = await bench.lockAccount(accountId);
    await expect(ledger.grant(accountId, uuidv7(), 30n)).rejects.toMatchObject({
      name: 'HoldStoreUnavailableError',
    });
    await unlock();
    expect(await bench.account(accountId)).toMatchObject({ held: 0n });
  });
});
