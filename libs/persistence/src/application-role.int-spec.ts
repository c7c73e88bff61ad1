import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import type { Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { createPool } from './pool.js';

// Real: Postgres, as the application role.

let database: TestDatabase;
let app: Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  app = createPool({ url: database.appUrl, max: 2, name: 'role-spec' });
});

afterAll(async () => {
  await app.end();
  await database.drop();
});

const refused = { code: '42501' };

describe('the application role may not', () => {
  it.each([
    ['write a balance', 'UPDATE tollgate.account SET posted = 1'],
    ['write what is held', 'UPDATE tollgate.account SET held = 1'],
    ['write the number of the last transfer', 'UPDATE tollgate.account SET seq = 1'],
    ['move a floor', 'UPDATE tollgate.account SET floor = -1'],
    [
      'open an account with a balance',
      `INSERT INTO tollgate.account (id, name, posted) VALUES ('${uuidv7()}', 'x', 5)`,
    ],
    ['delete an account', 'DELETE FROM tollgate.account'],
    [
      'make a reservation',
      `INSERT INTO tollgate.reservation (id, account_id, kind, granted) VALUES ('${uuidv7()}', '${uuidv7()}', 'request', 0)`,
    ],
    ['change a reservation', 'UPDATE tollgate.reservation SET released = 0'],
    ['set money aside by hand', `UPDATE tollgate.reservation SET state = 'open', shut_at = NULL`],
    ['delete a reservation', 'DELETE FROM tollgate.reservation'],
    [
      'write a transfer',
      `INSERT INTO tollgate.transfer (kind, ref_id, debit_id, credit_id, amount) VALUES ('top_up', '${uuidv7()}', '${uuidv7()}', '${uuidv7()}', 1)`,
    ],
    ['change a transfer', 'UPDATE tollgate.transfer SET amount = 1'],
    ['delete a transfer', 'DELETE FROM tollgate.transfer'],
    ['say that books were checked', 'UPDATE tollgate.account_check SET seq = 9'],
    ['skip what changed', `UPDATE tollgate.ledger_pass SET changed_since = '99'`],
    ['clear a stop of escrow by hand', `UPDATE tollgate.escrow_stop SET cleared_at = now(), note = 'x'`],
    ['forget a stop of escrow', 'DELETE FROM tollgate.escrow_stop'],
    [
      'close a day by hand',
      `INSERT INTO tollgate.day_close (day, after_id, until_id, count, sums, rows_hash, previous_hash, hash) VALUES ('2026-01-01', 0, 0, 0, '{}', '', '', '')`,
    ],
    ['open a day again', 'DELETE FROM tollgate.day_close'],
    ['say which transfers are final', 'DELETE FROM tollgate.transfer_mark'],
    ['write usage', `INSERT INTO tollgate.usage_record (request_id) VALUES ('${uuidv7()}')`],
    ['change usage', 'UPDATE tollgate.usage_record SET cost = 0'],
    ['delete usage', 'DELETE FROM tollgate.usage_record'],
    ['delete usage behind the table', 'DELETE FROM tollgate.usage_record_default'],
    [
      'write quarantine',
      `INSERT INTO tollgate.quarantine (request_id, body_hash, reason, body) VALUES ('${uuidv7()}', '', '', '{}')`,
    ],
    ['delete quarantine', 'DELETE FROM tollgate.quarantine'],
    ['delete a model', 'DELETE FROM tollgate.model'],
    ['delete a deployment', 'DELETE FROM tollgate.deployment'],
    ['change a price', 'UPDATE tollgate.price SET per_request = 0'],
    ['delete a price', 'DELETE FROM tollgate.price'],
    ['change an answer', `UPDATE tollgate.idempotency_record SET answer = '{}'`],
    ['delete an answer', 'DELETE FROM tollgate.idempotency_record'],
    ['change the audit log', `UPDATE tollgate.audit_log SET actor = ''`],
    ['delete from the audit log', 'DELETE FROM tollgate.audit_log'],
    ['change the secret of a key', `UPDATE tollgate.api_key SET key_hash = ''`],
    ['give a key to another account', `UPDATE tollgate.api_key SET account_id = '${uuidv7()}'`],
    ['change the secret of an operator', `UPDATE tollgate.operator_token SET token_hash = ''`],
    ['write the version of the catalog', 'UPDATE tollgate.catalog_version SET version = 0'],
    ['rewrite the list of migrations', 'DELETE FROM tollgate.schema_migration'],
    ['empty a table', 'TRUNCATE tollgate.transfer'],
    ['make a table', 'CREATE TABLE tollgate.mine ()'],
    ['lock accounts for itself', `SELECT tollgate.lock_accounts('{}', NULL, false)`],
    ['make a month of its own', 'SELECT tollgate.create_usage_month(now())'],
    ['switch a check off', 'ALTER TABLE tollgate.account DROP CONSTRAINT account_never_below_floor'],
    [
      'replace a function',
      'CREATE OR REPLACE FUNCTION tollgate.fits(p_value numeric, p_most bigint) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$',
    ],
  ])('%s', async (_, statement) => {
    await expect(app.query(statement)).rejects.toMatchObject(refused);
  });

  it('slip its own objects under a money function', async () => {
    const client = await app.connect();
    const accountId = uuidv7();
    await client.query(`INSERT INTO tollgate.account (id, name) VALUES ($1, 'x')`, [accountId]);
    await client.query('CREATE TEMPORARY TABLE account AS SELECT * FROM tollgate.account');
    await client.query('UPDATE account SET posted = 1000');
    await client.query('SET search_path = pg_temp, tollgate');
    const { rows } = await client.query('SELECT outcome FROM tollgate.hold_batch($1)', [
      JSON.stringify([{ r: uuidv7(), a: accountId, total: 1, ttl: 90 }]),
    ]);
    client.release(true);
    expect(rows).toEqual([{ outcome: 'refused' }]);
  });
});

describe('the application role may', () => {
  it.each([
    [
      'open an account with a credit line',
      `INSERT INTO tollgate.account (id, name, floor) VALUES ('${uuidv7()}', 'x', -5)`,
    ],
    [
      'rename and suspend accounts',
      `UPDATE tollgate.account SET name = 'y', status = 'suspended', metadata = '{}'`,
    ],
    ['make a model', `INSERT INTO tollgate.model (id) VALUES ('m')`],
    [
      'price it',
      `INSERT INTO tollgate.price (id, model, rates, effective_from) VALUES ('${uuidv7()}', 'm', '{"input": "1"}', now())`,
    ],
    ['write the audit log', `INSERT INTO tollgate.audit_log (actor, action, target) VALUES ('a', 'b', 'c')`],
    [
      'read every table',
      'SELECT FROM tollgate.transfer, tollgate.reservation, tollgate.usage_record, tollgate.ledger_violation',
    ],
    ['set the floor of an account', `SELECT tollgate.set_floor('${uuidv7()}', 0)`],
    ['settle', `SELECT * FROM tollgate.settle_batch('[]')`],
    ['expire holds', 'SELECT * FROM tollgate.expire_holds(1)'],
    ['set money aside', `SELECT * FROM tollgate.grant_escrow_batch('[]')`],
    ['find escrows that are due', 'SELECT * FROM tollgate.due_escrows(1)'],
    ['want an escrow back', `SELECT tollgate.wanted_escrow('${uuidv7()}')`],
    ['shut an escrow', `SELECT tollgate.shut_escrow('${uuidv7()}', 1, 1)`],
    ['finish escrows', 'SELECT * FROM tollgate.finish_escrows(now(), 1)'],
    [
      'take back and book at once',
      `SELECT * FROM tollgate.adjust_with_shut('refund', '${uuidv7()}', '${uuidv7()}', -1, NULL, NULL, NULL, NULL, NULL)`,
    ],
    ['ask which requests are known', `SELECT tollgate.known_requests('{}')`],
    ['return escrows whose pockets are gone', `SELECT tollgate.return_escrows('{}')`],
    ['check books', `SELECT * FROM tollgate.check_accounts('{}')`],
    ['find what changed', `SELECT tollgate.changed_accounts(NULL, '${uuidv7()}', 1)`],
    ['begin and end a pass', `SELECT tollgate.begin_ledger_pass('1 min'), tollgate.end_ledger_pass('1')`],
    ['clear a stop of escrow', `SELECT tollgate.clear_escrow_stop(1, 'why')`],
    ['purge what is closed', 'SELECT tollgate.purge_reservations(1)'],
    ['close days', `SELECT * FROM tollgate.close_days('1 min', 1)`],
    ['verify a day', `SELECT tollgate.day_close_violations('2026-01-01')`],
    ['make months ahead', 'SELECT tollgate.ensure_usage_partitions(3)'],
    ['use the queue', 'SELECT FROM bullmq.job'],
  ])('%s', async (_, statement) => {
    await app.query(statement);
  });
});
