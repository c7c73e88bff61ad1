import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { LedgerBench, usageEvent } from './ledger.spec-kit.js';
import { PostgresHoldStore } from './postgres-hold-store.js';
import { settleBatch } from './settle-batch.js';

// Real: Postgres, as the owner, who forges the books. What proves them has to see every forgery.

let database: TestDatabase;
let bench: LedgerBench;
let accountId: string;

beforeAll(async () => {
  database = await createTestDatabase();
  bench = new LedgerBench(database);
  accountId = await bench.newAccount(100n);
  const otherId = await bench.newAccount(100n);
  const store = new PostgresHoldStore(bench.app);
  await store.hold({ requestId: uuidv7(), accountId, totalNano: 10n });
  await settleBatch(bench.sql, [
    usageEvent(accountId, 5n),
    usageEvent(accountId, 900n),
    usageEvent(otherId, 5n),
  ]);
});

afterAll(async () => {
  await bench.close();
  await database.drop();
});

/** What the view says of the books as they are after `statement`, which is undone again. */
async function invariantsBrokenBy(statement: string): Promise<unknown[]> {
  const client = await bench.owner.connect();
  try {
    await client.query('BEGIN');
    await client.query(`
      ALTER TABLE tollgate.account DROP CONSTRAINT account_never_below_floor;
      ALTER TABLE tollgate.reservation DROP CONSTRAINT reservation_within_grant;
      ALTER TABLE tollgate.transfer DROP CONSTRAINT transfer_one_customer`);
    await client.query(statement.replaceAll('$account', accountId));
    const { rows } = await client.query(
      'SELECT DISTINCT invariant FROM tollgate.ledger_violation ORDER BY 1',
    );
    return rows.map(({ invariant }) => invariant);
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}

const ofOne = `WHERE id = '$account'`;
const lastUsage = `(SELECT id FROM tollgate.transfer WHERE account_id = '$account' ORDER BY account_seq DESC LIMIT 1)`;

describe('ledger_violation', () => {
  it('is empty for sound books', async () => {
    expect(await invariantsBrokenBy('SELECT 1')).toEqual([]);
  });

  it.each([
    ['a balance', `UPDATE tollgate.account SET posted = posted + 1 ${ofOne}`, ['posted_is_sum_of_transfers']],
    [
      'what is held',
      `UPDATE tollgate.account SET held = held + 1 ${ofOne}`,
      ['held_is_sum_of_open_remainders', 'never_below_floor'],
    ],
    ['a floor', `UPDATE tollgate.account SET floor = 50 ${ofOne}`, ['never_below_floor']],
    [
      'the number of the last transfer',
      `UPDATE tollgate.account SET seq = seq + 1 ${ofOne}`,
      ['account_seq_has_no_gap'],
    ],
    [
      'a number in between',
      `UPDATE tollgate.transfer SET account_seq = 9 WHERE id = ${lastUsage}`,
      ['account_seq_has_no_gap'],
    ],
    [
      'a balance after',
      `UPDATE tollgate.transfer SET balance_after = 3 WHERE id = ${lastUsage}`,
      ['balance_after_is_running_sum'],
    ],
    [
      'an amount',
      `UPDATE tollgate.transfer SET amount = amount + 1 WHERE id = ${lastUsage}`,
      ['balance_after_is_running_sum', 'cost_is_charged_and_absorbed', 'posted_is_sum_of_transfers'],
    ],
    [
      'what was absorbed',
      `DELETE FROM tollgate.transfer WHERE kind = 'absorbed'`,
      ['cost_is_charged_and_absorbed'],
    ],
    ['a cost', `UPDATE tollgate.usage_record SET cost = cost + 1`, ['cost_is_charged_and_absorbed']],
    ['that there was usage', 'DELETE FROM tollgate.usage_record', ['no_usage_transfer_without_record']],
    [
      'who used it',
      `UPDATE tollgate.usage_record SET account_id = '${uuidv7()}'`,
      ['usage_is_paid_by_its_account'],
    ],
    [
      'a hold',
      `UPDATE tollgate.reservation SET released = granted + 1`,
      ['held_is_sum_of_open_remainders', 'reservation_within_grant'],
    ],
    ['that there is a hold', 'DELETE FROM tollgate.reservation', ['held_is_sum_of_open_remainders']],
  ])('sees a forgery of %s', async (_, statement, invariants) => {
    expect(await invariantsBrokenBy(statement)).toEqual(invariants);
  });
});

describe('ledger_violation, where usage was swept', () => {
  const guessed = uuidv7();
  const corrected = uuidv7();
  const rule = 'swept_is_reversed_if_true_usage_came';

  beforeAll(async () => {
    const payer = await bench.newAccount(100n);
    const swept = [guessed, corrected].map((requestId) => usageEvent(payer, 7n, { requestId, swept: true }));
    await settleBatch(bench.sql, swept);
    await settleBatch(bench.sql, [usageEvent(payer, 20n, { requestId: corrected })]);
  });

  it('is empty for sound books', async () => {
    expect(await invariantsBrokenBy('SELECT 1')).toEqual([]);
  });

  it.each([
    ['that it was given back', `DELETE FROM tollgate.transfer WHERE kind = 'reversal'`, rule],
    [
      'how much was given back',
      `UPDATE tollgate.transfer SET amount = amount - 1 WHERE kind = 'reversal'`,
      rule,
    ],
    [
      'that the truth came',
      `DELETE FROM tollgate.usage_record WHERE NOT swept AND request_id = '${corrected}'`,
      rule,
    ],
    [
      'that it was swept',
      `DELETE FROM tollgate.usage_record WHERE swept AND request_id = '${corrected}'`,
      rule,
    ],
    [
      'what was given back',
      `UPDATE tollgate.transfer SET ref_id = '${guessed}' WHERE kind = 'reversal'`,
      rule,
    ],
    [
      'what it cost',
      `UPDATE tollgate.usage_record SET cost = 8 WHERE request_id = '${guessed}'`,
      'cost_is_charged_and_absorbed',
    ],
    [
      'who got it back',
      `UPDATE tollgate.transfer SET account_id = '$account', account_seq = 99, credit_id = '$account' WHERE kind = 'reversal'`,
      'usage_is_paid_by_its_account',
    ],
  ])('sees a forgery of %s', async (_, statement, invariant) => {
    expect(await invariantsBrokenBy(statement)).toContain(invariant);
  });
});
