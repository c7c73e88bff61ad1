import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import type { Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { createPool } from './pool.js';

// Real: Postgres, as the owner, whom no grant holds back: what is refused here nobody can do.

let database: TestDatabase;
let owner: Pool;
const accountId = uuidv7();

beforeAll(async () => {
  database = await createTestDatabase();
  owner = createPool({ url: database.ownerUrl, max: 2, name: 'constraint-spec' });
  await owner.query(
    `INSERT INTO tollgate.account (id, name, posted, held, floor) VALUES ($1, 'x', 100, 40, 10)`,
    [accountId],
  );
});

afterAll(async () => {
  await owner.end();
  await database.drop();
});

const revenue = '00000000-0000-0000-0000-000000000001';
const absorbed = '00000000-0000-0000-0000-000000000002';

describe('an account', () => {
  it.each([
    ['account_never_below_floor', 'posted = 49'],
    ['account_never_below_floor', 'held = 91'],
    ['account_never_below_floor', 'floor = 61'],
    ['account_held_not_negative', 'held = -1'],
    ['account_balance_in_range', 'posted = 9000000000000001'],
    ['account_balance_in_range', 'floor = -9000000000000001'],
    ['account_status_known', `status = 'gone'`],
    ['account_multiplier_not_negative', 'multiplier_ppm = -1'],
    ['account_id_not_system', `id = '${revenue}'`],
  ])('keeps %s against %s', async (constraint, change) => {
    await expect(owner.query(`UPDATE tollgate.account SET ${change}`)).rejects.toMatchObject({ constraint });
  });

  it('reaches its floor exactly', async () => {
    await owner.query('UPDATE tollgate.account SET posted = 50');
    await owner.query('UPDATE tollgate.account SET posted = 100');
  });

  it('cannot go while it has reservations', async () => {
    const reservationId = await reservation({ granted: 40 });
    await expect(owner.query('DELETE FROM tollgate.account')).rejects.toMatchObject({
      constraint: 'reservation_account_id_fkey',
    });
    await owner.query('DELETE FROM tollgate.reservation WHERE id = $1', [reservationId]);
  });
});

async function reservation(row: {
  granted: number;
  used?: number;
  released?: number;
  state?: string;
  kind?: string;
  checkpoint?: string;
  shutAgo?: string;
}) {
  const { granted, used = 0, released = 0, state = 'open', kind = 'request', checkpoint, shutAgo } = row;
  const id = uuidv7();
  await owner.query(
    `INSERT INTO tollgate.reservation (id, account_id, kind, granted, used, released, state, checkpoint, shut_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() - $9::interval)`,
    [id, accountId, kind, granted, used, released, state, checkpoint, shutAgo],
  );
  return id;
}

describe('a reservation', () => {
  it.each([
    ['reservation_within_grant', { granted: 10, used: 6, released: 5 }],
    ['reservation_used_not_negative', { granted: 10, used: -1 }],
    ['reservation_released_not_negative', { granted: 10, released: -1 }],
    ['reservation_closed_is_drained', { granted: 10, used: 5, released: 4, state: 'closed' }],
    ['reservation_state_known', { granted: 10, state: 'frozen' }],
    ['reservation_kind_known', { granted: 10, kind: 'loan' }],
    [
      'reservation_checkpoint_of_request',
      { granted: 10, kind: 'escrow', state: 'closing', checkpoint: '{}' },
    ],
    ['reservation_shut_is_over', { granted: 10, shutAgo: '1 s' }],
    ['reservation_shut_is_over', { granted: 10, kind: 'escrow', shutAgo: '1 s' }],
    ['reservation_escrow_closes_late', { granted: 0, kind: 'escrow', state: 'closed' }],
    ['reservation_escrow_closes_late', { granted: 0, kind: 'escrow', state: 'closed', shutAgo: '119 s' }],
  ])('keeps %s', async (constraint, row) => {
    await expect(reservation(row)).rejects.toMatchObject({ constraint });
  });

  it('is an escrow that was shut for two minutes before it is closed', async () => {
    await reservation({
      granted: 10,
      used: 4,
      released: 6,
      kind: 'escrow',
      state: 'closed',
      shutAgo: '2 min',
    });
  });

  it('is the only open escrow of its account', async () => {
    await reservation({ kind: 'escrow', granted: 1 });
    await reservation({ kind: 'escrow', granted: 1, state: 'closing' });
    await expect(reservation({ kind: 'escrow', granted: 1 })).rejects.toMatchObject({
      constraint: 'reservation_one_open_escrow',
    });
  });
});

describe('a transfer', () => {
  const otherId = uuidv7();
  const whole = {
    kind: 'usage',
    ref_id: uuidv7(),
    debit_id: accountId,
    credit_id: revenue,
    amount: 5,
    account_id: accountId as string | null,
    account_seq: 1 as number | null,
    balance_after: 0 as number | null,
  };

  async function transfer(changes: Partial<typeof whole>) {
    await owner.query(
      `INSERT INTO tollgate.transfer (kind, ref_id, debit_id, credit_id, amount, account_id, account_seq, balance_after)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
      Object.values({ ...whole, ...changes }),
    );
  }

  beforeAll(() => transfer({}));

  it.each([
    ['transfer_once', { account_seq: 2 }],
    ['transfer_account_seq_key', { ref_id: uuidv7() }],
    ['transfer_kind_known', { ref_id: uuidv7(), kind: 'gift' }],
    ['transfer_amount_positive', { ref_id: uuidv7(), amount: 0 }],
    ['transfer_two_sides', { ref_id: uuidv7(), credit_id: accountId }],
    ['transfer_account_whole', { ref_id: uuidv7(), account_seq: null }],
    ['transfer_account_whole', { ref_id: uuidv7(), account_seq: 3, balance_after: null }],
    ['transfer_one_customer', { ref_id: uuidv7(), account_seq: 3, credit_id: otherId }],
    ['transfer_one_customer', { ref_id: uuidv7(), account_seq: 3, debit_id: absorbed }],
    ['transfer_side_of_kind', { ref_id: uuidv7(), account_seq: 3, debit_id: revenue, credit_id: accountId }],
    [
      'transfer_side_of_kind',
      { kind: 'swept', ref_id: uuidv7(), account_seq: 3, debit_id: revenue, credit_id: accountId },
    ],
    ['transfer_side_of_kind', { kind: 'reversal', ref_id: uuidv7(), account_seq: 3 }],
    ['transfer_side_of_kind', { kind: 'absorbed', ref_id: uuidv7(), account_seq: 3 }],
    ['transfer_one_customer', { ref_id: uuidv7(), account_id: null, account_seq: null, balance_after: null }],
  ])('keeps %s', async (constraint, changes) => {
    await expect(transfer(changes)).rejects.toMatchObject({ constraint });
  });

  it('may be between two sides of our own', async () => {
    await transfer({
      kind: 'absorbed',
      debit_id: absorbed,
      account_id: null,
      account_seq: null,
      balance_after: null,
    });
  });
});

describe('a price', () => {
  it.each([
    '[]',
    '"1"',
    '{"input": 1}',
    '{"input": "1.5"}',
    '{"input": "-1"}',
    '{"input": "01"}',
    '{"input": null}',
    '{"input": ""}',
  ])('refuses the rates %s', async (rates) => {
    await owner.query(`INSERT INTO tollgate.model (id) VALUES ('m') ON CONFLICT DO NOTHING`);
    const insert = owner.query(
      `INSERT INTO tollgate.price (id, model, rates, effective_from) VALUES ($1, 'm', $2, now())`,
      [uuidv7(), rates],
    );
    await expect(insert).rejects.toMatchObject({ constraint: 'price_rates_exact' });
  });
});
