import { createTestDatabase, eventually, type TestDatabase } from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { checkBooks, clearEscrowStop, readBookState, type BookPass } from './book-check.js';
import { accountWithEscrow, grantEscrow } from './escrow.spec-kit.js';
import { LedgerBench, usageEvent } from './ledger.spec-kit.js';
import { PostgresHoldStore } from './postgres-hold-store.js';
import { settleBatch } from './settle-batch.js';

// Real: Postgres; the forgeries are the owner's.

let database: TestDatabase;
let bench: LedgerBench;

beforeEach(async () => {
  database = await createTestDatabase();
  bench = new LedgerBench(database);
});

afterEach(async () => {
  await bench.close();
  await database.drop();
});

async function pass(accountsMax = 1_000): Promise<BookPass> {
  const found = await checkBooks(bench.sql, { everySeconds: 0, accountsMax });
  if (found === null) throw new Error('there was no pass');
  return found;
}

/** An account with a hold, usage that was settled, swept, corrected and absorbed, and money that came and went. */
async function busyAccount(): Promise<string> {
  const accountId = await bench.newAccount(1_000n);
  const store = new PostgresHoldStore(bench.app);
  await store.hold({ requestId: uuidv7(), accountId, totalNano: 10n });
  await store.shutdown();
  const corrected = uuidv7();
  await settleBatch(bench.sql, [usageEvent(accountId, 7n, { requestId: corrected, swept: true })]);
  await settleBatch(bench.sql, [
    usageEvent(accountId, 20n, { requestId: corrected }),
    usageEvent(accountId, 5n),
    usageEvent(accountId, 0n),
    usageEvent(accountId, 5_000n),
  ]);
  await bench.topUp(accountId, 50n);
  return accountId;
}

/** The age of a row is counted with a little more than a thousand transactions of slack. */
const MANY_TRANSACTIONS = `DO $$ BEGIN
  FOR i IN 1..1500 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$`;

/** While a transaction anywhere on the server is older, what it may have changed is looked at once more. */
function untilNothingIsNew(): Promise<void> {
  return eventually(async () => {
    await bench.owner.query(MANY_TRANSACTIONS);
    expect(await pass()).toEqual({ accountCount: 0, wrong: [] });
  });
}

const invariantsOf = ({ wrong }: BookPass): string[] => [
  ...new Set(wrong.flatMap(({ violations }) => violations.map(({ invariant }) => invariant))),
];

describe('checking the books', () => {
  it('looks at every account the first time, and then at those that changed', async () => {
    const ids = await Promise.all([1, 2, 3, 4, 5].map(() => bench.newAccount(10n)));
    expect(await pass(2)).toEqual({ accountCount: 5, wrong: [] });
    await untilNothingIsNew();
    await bench.topUp(ids[3] ?? '', 5n);
    expect(await pass()).toEqual({ accountCount: 1, wrong: [] });
  });

  it('invariants of a million accounts are checked in seconds when few changed', async () => {
    // Fewer than a million, because what counts is that the others are not looked into.
    await bench.owner.query(
      `INSERT INTO tollgate.account (id, name) SELECT gen_random_uuid(), 'one of many' FROM generate_series(1, 20000)`,
    );
    const ids = await Promise.all([1, 2, 3].map(() => bench.newAccount(0n)));
    await bench.owner.query('UPDATE tollgate.ledger_pass SET changed_since = pg_current_xact_id()');
    await untilNothingIsNew();
    for (const id of ids) await bench.topUp(id, 5n);
    expect(await pass(2)).toEqual({ accountCount: 3, wrong: [] });
  });

  it('is done once in its time, however many processes ask', async () => {
    const passes = await Promise.all(
      [1, 2, 3].map(() => checkBooks(bench.sql, { everySeconds: 50, accountsMax: 10 })),
    );
    expect(passes.filter((found) => found !== null)).toHaveLength(1);
    expect((await readBookState(bench.sql)).checkedAt).toBeInstanceOf(Date);
  });

  it('overlooks no account whose transaction was still open', async () => {
    const accountId = await bench.newAccount(100n);
    await pass();
    const client = await bench.owner.connect();
    await client.query('BEGIN');
    await client.query('UPDATE tollgate.account SET posted = posted + 1 WHERE id = $1', [accountId]);
    await pass();
    await client.query('COMMIT');
    client.release();
    expect(invariantsOf(await pass())).toEqual(['posted_is_sum_of_transfers']);
  });

  it('finds nothing wrong with whatever the ledger does, from the beginning or from the last check', async () => {
    const accountId = await busyAccount();
    expect(await pass()).toMatchObject({ wrong: [] });
    await settleBatch(bench.sql, [usageEvent(accountId, 9n), usageEvent(accountId, 3n, { swept: true })]);
    await bench.topUp(accountId, 1n);
    expect(await pass()).toMatchObject({ wrong: [] });
    expect(await bench.violations()).toEqual([]);
  });
});

const ofOne = `WHERE id = '$account'`;
const last = `(SELECT id FROM tollgate.transfer WHERE account_id = '$account' ORDER BY account_seq DESC LIMIT 1)`;
const ofLast = `(SELECT ref_id FROM tollgate.transfer WHERE account_id = '$account' AND kind = 'usage'
  ORDER BY account_seq DESC LIMIT 1)`;
/** A change of the account's row that changes nothing: the forgery beside it is looked at in the next pass. */
const touch = `; UPDATE tollgate.account SET name = name ${ofOne}`;

describe('checking the books of an account finds a forgery of', () => {
  it.each([
    ['a balance', `UPDATE tollgate.account SET posted = posted + 1 ${ofOne}`, 'posted_is_sum_of_transfers'],
    [
      'what is held',
      `UPDATE tollgate.account SET held = held + 1 ${ofOne}`,
      'held_is_sum_of_open_remainders',
    ],
    [
      'the number of the last transfer',
      `UPDATE tollgate.account SET seq = seq + 1 ${ofOne}`,
      'account_seq_has_no_gap',
    ],
    [
      'a number',
      `UPDATE tollgate.transfer SET account_seq = 99 WHERE id = ${last}${touch}`,
      'account_seq_has_no_gap',
    ],
    [
      'a balance after',
      `UPDATE tollgate.transfer SET balance_after = 3 WHERE id = ${last}${touch}`,
      'balance_after_is_running_sum',
    ],
    [
      'an amount',
      `UPDATE tollgate.transfer SET amount = amount + 1 WHERE id = ${last}${touch}`,
      'posted_is_sum_of_transfers',
    ],
    [
      'a cost',
      `UPDATE tollgate.usage_record SET cost = cost + 1 WHERE request_id = ${ofLast}${touch}`,
      'cost_is_charged_and_absorbed',
    ],
    [
      'what was absorbed',
      `DELETE FROM tollgate.transfer WHERE kind = 'absorbed'${touch}`,
      'cost_is_charged_and_absorbed',
    ],
    [
      'that there was usage',
      `DELETE FROM tollgate.usage_record WHERE request_id = ${ofLast}${touch}`,
      'no_usage_transfer_without_record',
    ],
    [
      'who used it',
      `UPDATE tollgate.usage_record SET account_id = '${uuidv7()}' WHERE request_id = ${ofLast}${touch}`,
      'usage_is_paid_by_its_account',
    ],
    [
      'a free request that was not free',
      `UPDATE tollgate.usage_record SET cost = 8 WHERE cost = 0${touch}`,
      'cost_is_charged_and_absorbed',
    ],
    [
      'how much was given back',
      `UPDATE tollgate.transfer SET amount = amount - 1 WHERE kind = 'reversal'${touch}`,
      'swept_is_reversed_if_true_usage_came',
    ],
    ['that there is a hold', `DELETE FROM tollgate.reservation${touch}`, 'held_is_sum_of_open_remainders'],
  ])('%s', async (_, statement, invariant) => {
    const accountId = await busyAccount();
    await bench.owner.query(statement.replaceAll('$account', accountId));
    const found = await pass();
    expect(found.wrong.map((one) => [one.accountId, one.isNew])).toEqual([[accountId, true]]);
    expect(invariantsOf(found)).toContain(invariant);
  });

  it('the transfer up to which they were right before', async () => {
    const accountId = await busyAccount();
    await pass();
    await bench.owner.query(
      `UPDATE tollgate.transfer SET balance_after = 3 WHERE id = ${last}${touch}`.replaceAll(
        '$account',
        accountId,
      ),
    );
    expect(invariantsOf(await pass())).toEqual(['balance_after_is_running_sum']);
  });
});

describe('an account whose books are wrong', () => {
  it('gets no escrow, and no other account is refused, until they are right and an operator has said so', async () => {
    const { accountId, escrowId } = await accountWithEscrow(bench, 1_000n, 100n);
    const other = await accountWithEscrow(bench, 1_000n, 100n);
    await bench.owner.query('UPDATE tollgate.account SET posted = posted + 5 WHERE id = $1', [accountId]);
    expect((await pass()).wrong).toMatchObject([{ accountId, isNew: true }]);
    const more = { accountId, escrowId, totalNano: 200n };
    expect(await grantEscrow(bench, more)).toMatchObject({ outcome: 'suspended', granted: 100n });
    expect(await grantEscrow(bench, { ...more, escrowId: uuidv7() })).toMatchObject({ outcome: 'suspended' });
    expect(await grantEscrow(bench, { ...other, totalNano: 200n })).toMatchObject({ outcome: 'open' });

    const { rows } = await bench.owner.query('SELECT id FROM tollgate.escrow_stop');
    expect(await clearEscrowStop(bench.sql, rows[0].id, 'looked')).toBe('still_wrong');
    await bench.owner.query('UPDATE tollgate.account SET posted = posted - 5 WHERE id = $1', [accountId]);
    expect(await clearEscrowStop(bench.sql, rows[0].id, 'set right by hand')).toBe('cleared');
    expect(await clearEscrowStop(bench.sql, rows[0].id, 'again')).toBe('cleared_before');
    expect(await clearEscrowStop(bench.sql, '999', 'no such')).toBe('unknown');
    expect(await grantEscrow(bench, more)).toMatchObject({ outcome: 'open', granted: 200n });
    expect((await pass()).wrong).toEqual([]);
  });

  it('is told once as new, and counted as long as it is wrong', async () => {
    const accountId = await bench.newAccount(100n);
    await bench.owner.query('UPDATE tollgate.account SET posted = posted + 5 WHERE id = $1', [accountId]);
    expect((await pass()).wrong).toMatchObject([{ isNew: true }]);
    expect((await pass()).wrong).toMatchObject([{ isNew: false }]);
    expect(await readBookState(bench.sql)).toMatchObject({ violationCount: 1 });
  });

  it('has one open stop, which says why and is cleared with a note', async () => {
    const accountId = await bench.newAccount(1n);
    const insert = (values: string) =>
      bench.owner.query(
        `INSERT INTO tollgate.escrow_stop (account_id, violations, cleared_at, note) VALUES ${values}`,
      );
    await expect(insert(`('${accountId}', '[]', NULL, NULL)`)).rejects.toMatchObject({
      constraint: 'escrow_stop_says_why',
    });
    await expect(insert(`('${accountId}', '[1]', now(), NULL)`)).rejects.toMatchObject({
      constraint: 'escrow_stop_cleared_with_note',
    });
    await insert(`('${accountId}', '[1]', now(), 'seen'), ('${accountId}', '[1]', NULL, NULL)`);
    await expect(insert(`('${accountId}', '[1]', NULL, NULL)`)).rejects.toMatchObject({
      constraint: 'escrow_stop_one_open',
    });
  });
});
