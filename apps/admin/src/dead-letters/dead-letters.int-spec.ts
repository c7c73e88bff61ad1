import { requestIdToWire, type UsageEvent } from '@tollgate/contracts';
import { PostgresHoldStore, poolSql, quarantineEvent, settleBatch, type Sql } from '@tollgate/ledger';
import { createPool } from '@tollgate/persistence';
import { usageEventOf } from '@tollgate/testing';
import type { Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { openAccount, startAdmin, type AdminUnderTest, type Answer } from '../admin.spec-kit.js';

// Real: Postgres, as the application role, and the admin process without a port.

let admin: AdminUnderTest;
let app: Pool;
let sql: Sql;
let priceId: string;
let accountId: string;

beforeEach(async () => {
  admin = await startAdmin();
  app = createPool({ url: admin.config.DATABASE_URL, max: 4, name: 'spec' });
  sql = poolSql(app);
  await admin.call('POST', '/models', { body: { id: 'm' } });
  // 0.000001 credits for each token of input.
  const price = await admin.call('POST', '/prices', {
    body: { model: 'm', rates: { input: '1', output: '1' } },
  });
  priceId = price.body.id;
  accountId = await openAccount(admin, '5');
});

afterEach(async () => {
  expect(await sql('SELECT * FROM tollgate.ledger_violation')).toEqual([]);
  await app.end();
  await admin.stop();
});

/** An event that costs a millionth of a credit for each token. */
function eventOf(tokens: number, changes: Partial<UsageEvent> = {}): UsageEvent {
  const nothingElse = { apiKey: '', apiKeyId: uuidv7(), deploymentIds: [] };
  return usageEventOf(
    { ...nothingElse, accountId, model: 'm', priceId },
    { units: { input: tokens }, costNano: String(tokens * 1_000), ...changes },
  );
}

async function quarantine(event: unknown, reason: string): Promise<string> {
  await quarantineEvent(sql, { body: event, reason });
  const [row] = await sql('SELECT max(id) AS id FROM tollgate.quarantine');
  return String(row?.['id']);
}

async function balance(): Promise<{ posted: string; held: string }> {
  const { posted, held } = (await admin.call('GET', `/accounts/${accountId}`)).body.balance;
  return { posted, held };
}

async function auditOf(id: string): Promise<any[]> {
  const { rows } = await admin.owner.query(
    'SELECT actor, action, before, after FROM tollgate.audit_log WHERE target = $1 ORDER BY id',
    [`dead_letter/${id}`],
  );
  return rows;
}

function codeOf({ status, body }: Answer): [number, unknown] {
  return [status, body?.code];
}

const replay = (id: string) => admin.call('POST', `/dead-letters/${id}/replay`);
const correct = (id: string, event: object, note = 'counted by hand') =>
  admin.call('POST', `/dead-letters/${id}/correct`, { body: { event, note } });
const discard = (id: string, note = 'of no use') =>
  admin.call('POST', `/dead-letters/${id}/discard`, { body: { note } });

describe('dead letters', () => {
  it('are shown with what is wrong with them and what can be done', async () => {
    const event = eventOf(7);
    const id = await quarantine(event, 'unknown_account');
    const shown = {
      id,
      requestId: requestIdToWire(event.requestId),
      accountId,
      status: 'open',
      reason: 'unknown_account',
      explanation: expect.stringContaining('Replay the event once the account is back'),
      replayable: true,
      createdAt: expect.any(String),
      resolution: null,
    };
    expect((await admin.call('GET', '/dead-letters')).body).toEqual({ data: [shown], nextCursor: null });
    expect((await admin.call('GET', `/dead-letters/${id}`)).body).toEqual({ ...shown, event });
    expect(codeOf(await admin.call('GET', '/dead-letters/99'))).toEqual([404, 'not_found']);
    expect(codeOf(await admin.call('GET', '/dead-letters/x'))).toEqual([404, 'not_found']);
  });

  it('may be of anything that came out of the queue', async () => {
    for (const body of [null, 7, 'text', [], {}, { accountId: 7, requestId: 'x' }]) {
      const id = await quarantine(body, `malformed: ✖ expected an object: at "${JSON.stringify(body)}"`);
      const { status, body: shown } = await admin.call('GET', `/dead-letters/${id}`);
      expect([status, shown]).toMatchObject([
        200,
        { requestId: null, reason: 'malformed', replayable: false, event: body },
      ]);
      expect(shown.explanation).toMatch(
        /^This is not a usage event: ✖ expected .* It can be corrected or discarded\.$/,
      );
      expect((await replay(id)).body).toMatchObject({
        outcome: 'quarantined',
        reason: 'malformed',
        charged: '0',
      });
      expect((await discard(id)).body).toMatchObject({ status: 'discarded' });
    }
    expect((await admin.call('GET', '/dead-letters')).body.data).toHaveLength(6);
  });

  it('are found by status, reason, account and time', async () => {
    const other = await openAccount(admin);
    const malformed = await quarantine({ accountId: accountId.toUpperCase() }, 'malformed: x: y');
    const mismatch = await quarantine(eventOf(7, { costNano: '1' }), 'cost_mismatch');
    const others = await quarantine(eventOf(7, { accountId: other }), 'unknown_price');
    const discarded = await quarantine(eventOf(8), 'cost_mismatch');
    await discard(discarded);
    await replay(others);
    const ids = async (query: string) =>
      (await admin.call('GET', `/dead-letters?${query}`)).body.data.map(({ id }: any) => id);
    expect(await ids('')).toEqual([discarded, others, mismatch, malformed]);
    expect(await ids('status=open')).toEqual([mismatch, malformed]);
    expect(await ids('status=replayed')).toEqual([others]);
    expect(await ids('status=discarded')).toEqual([discarded]);
    expect(await ids('reason=malformed')).toEqual([malformed]);
    expect(await ids('reason=cost_mismatch&status=open')).toEqual([mismatch]);
    expect(await ids(`accountId=${accountId}`)).toEqual([discarded, mismatch, malformed]);
    expect(await ids(`to=${new Date(Date.now() - 3_600_000).toISOString()}`)).toEqual([]);
    expect(await ids(`from=${new Date(Date.now() - 3_600_000).toISOString()}`)).toHaveLength(4);
    const first = await admin.call('GET', '/dead-letters?limit=3');
    const rest = await admin.call('GET', `/dead-letters?limit=3&cursor=${first.body.nextCursor}`);
    expect(rest.body.data.map(({ id }: any) => id)).toEqual([malformed]);
  });
});

describe('POST /dead-letters/{id}/replay', () => {
  it('charges the account once, however often it is asked at once', async () => {
    const event = eventOf(7);
    const id = await quarantine(event, 'unknown_price');
    const answers = await Promise.all(Array.from({ length: 8 }, () => replay(id)));
    for (const { status, body } of answers) {
      expect([status, body]).toMatchObject([
        200,
        {
          outcome: 'settled',
          reason: null,
          charged: '0.000007',
          absorbed: '0',
          deadLetter: { id, status: 'replayed', resolution: { outcome: 'settled', charged: '0.000007' } },
        },
      ]);
    }
    expect(await balance()).toEqual({ posted: '4.999993', held: '0' });
    const usage = await admin.call('GET', `/usage/${event.requestId}`);
    expect(usage.body).toMatchObject({ cost: '0.000007' });
    expect(await auditOf(id)).toEqual([
      {
        actor: 'operator:tester',
        action: 'dead_letter.replay',
        before: expect.objectContaining({ status: 'open' }),
        after: expect.objectContaining({ status: 'replayed' }),
      },
    ]);
  });

  it('keeps a dead letter open that fails again, with the new reason', async () => {
    const id = await quarantine(eventOf(7, { costNano: '1' }), 'unknown_price');
    const { status, body } = await replay(id);
    expect([status, body]).toMatchObject([
      200,
      { outcome: 'quarantined', reason: 'cost_mismatch', charged: '0', deadLetter: { status: 'open' } },
    ]);
    expect((await admin.call('GET', '/dead-letters')).body.data).toMatchObject([
      { id, reason: 'cost_mismatch' },
    ]);
    expect(await auditOf(id)).toMatchObject([
      { before: { reason: 'unknown_price' }, after: { reason: 'cost_mismatch' } },
    ]);
    expect(await balance()).toEqual({ posted: '5', held: '0' });
  });

  it('says of a request that was settled with other content that it can only be discarded', async () => {
    const event = eventOf(7);
    await settleBatch(sql, [event]);
    const id = await quarantine(eventOf(9, { requestId: event.requestId }), 'other_content');
    const { body } = await replay(id);
    expect(body).toMatchObject({
      outcome: 'quarantined',
      deadLetter: { replayable: false, explanation: expect.stringContaining('can only be discarded') },
    });
    expect(await balance()).toEqual({ posted: '4.999993', held: '0' });
  });

  it('refuses what was discarded, and an id that was never given', async () => {
    const id = await quarantine(eventOf(7), 'unknown_price');
    await discard(id);
    expect(codeOf(await replay(id))).toEqual([409, 'dead_letter_resolved']);
    expect(codeOf(await replay('99'))).toEqual([404, 'not_found']);
    expect(await balance()).toEqual({ posted: '5', held: '0' });
  });

  it('changes nothing when its connection is cut in the middle, and charges once afterwards', async () => {
    const id = await quarantine(eventOf(7), 'unknown_price');
    const locker = await admin.owner.connect();
    await locker.query('BEGIN');
    await locker.query('SELECT FROM tollgate.account WHERE id = $1 FOR UPDATE', [accountId]);
    let answer: Answer | null = null;
    const asking = replay(id).then((given) => {
      answer = given;
    });
    while (answer === null) {
      await locker.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
    }
    await asking;
    await locker.query('ROLLBACK');
    locker.release();
    expect(codeOf(answer)).toEqual([503, 'database_unavailable']);
    expect(await auditOf(id)).toEqual([]);
    expect(await balance()).toEqual({ posted: '5', held: '0' });
    expect((await replay(id)).body).toMatchObject({ outcome: 'settled', charged: '0.000007' });
    expect(await balance()).toEqual({ posted: '4.999993', held: '0' });
  });
});

describe('POST /dead-letters:replay', () => {
  it('replays the open ones that match, oldest first, a page at a time', async () => {
    for (let index = 0; index < 5; index += 1) await quarantine(eventOf(1), 'unknown_price');
    const known = eventOf(1);
    await quarantine(known, 'unknown_price');
    await settleBatch(sql, [known]);
    await quarantine(eventOf(1, { costNano: '5' }), 'unknown_price');
    await quarantine(eventOf(1), 'cost_mismatch');
    const ask = (body: object) => admin.call('POST', '/dead-letters:replay', { body });
    const first = await ask({ reason: 'unknown_price', accountId, limit: 4 });
    expect([first.status, first.body]).toEqual([
      200,
      {
        settled: 4,
        known: 0,
        quarantined: 0,
        charged: '0.000004',
        absorbed: '0',
        nextCursor: expect.any(String),
      },
    ]);
    const second = await ask({ reason: 'unknown_price', accountId, limit: 4, cursor: first.body.nextCursor });
    expect(second.body).toEqual({
      settled: 1,
      known: 1,
      quarantined: 1,
      charged: '0.000001',
      absorbed: '0',
      nextCursor: null,
    });
    const left = await admin.call('GET', '/dead-letters?status=open');
    expect(left.body.data.map(({ reason }: any) => reason)).toEqual(['cost_mismatch', 'cost_mismatch']);
    expect((await ask({ reason: 'unknown_price' })).body).toMatchObject({ settled: 0, nextCursor: null });
    expect(await balance()).toEqual({ posted: '4.999994', held: '0' });
  });

  it.each([
    [{ limit: 201 }, '/limit'],
    [{ cursor: 'x' }, '/cursor'],
    [{ status: 'discarded' }, '/status'],
  ])('refuses %j', async (body, pointer) => {
    const refused = await admin.call('POST', '/dead-letters:replay', { body });
    expect([refused.status, refused.body.errors[0].pointer]).toEqual([422, pointer]);
  });
});

describe('POST /dead-letters/{id}/discard', () => {
  it('frees what the hold of the request keeps, and moves no credits', async () => {
    const event = eventOf(7_000);
    const { requestId } = event;
    const store = new PostgresHoldStore(app);
    await store.hold({ requestId, accountId, totalNano: 9_000_000n });
    const id = await quarantine(event, 'unknown_price');
    expect(codeOf(await discard(id))).toEqual([409, 'request_running']);
    await store.close(requestId, accountId, 7_000_000n);
    await store.shutdown();
    expect(await balance()).toEqual({ posted: '5', held: '0.007' });
    const { status, body } = await discard(id, 'the upstream was at fault');
    expect([status, body]).toMatchObject([
      200,
      {
        status: 'discarded',
        resolution: { outcome: 'discarded', charged: '0', freed: '0.007', note: 'the upstream was at fault' },
      },
    ]);
    expect(await balance()).toEqual({ posted: '5', held: '0' });
    expect((await discard(id, 'again')).body).toEqual(body);
    expect(await auditOf(id)).toMatchObject([
      { actor: 'operator:tester', action: 'dead_letter.discard', after: { status: 'discarded' } },
    ]);
  });

  it('needs a note, and refuses what was replayed', async () => {
    const id = await quarantine(eventOf(7), 'unknown_price');
    const refused = await admin.call('POST', `/dead-letters/${id}/discard`, { body: { note: ' ' } });
    expect([refused.status, refused.body.errors]).toEqual([
      422,
      [{ pointer: '/note', message: 'must say why' }],
    ]);
    await replay(id);
    expect(codeOf(await discard(id))).toEqual([409, 'dead_letter_resolved']);
    expect(codeOf(await discard('99'))).toEqual([404, 'not_found']);
  });
});

describe('a dead letter that is corrected', () => {
  it('is settled at the cost of what is given instead, once, with an audit row that says what', async () => {
    const id = await quarantine({ ...eventOf(7), units: { input: -3 } }, 'malformed: units');
    const settled = await correct(id, { units: { input: 40 } });
    expect([settled.status, settled.body]).toEqual([
      200,
      expect.objectContaining({ outcome: 'settled', charged: '0.00004', absorbed: '0' }),
    ]);
    expect(settled.body.deadLetter).toMatchObject({ status: 'replayed', replayable: false });
    expect((await balance()).posted).toBe('4.99996');
    expect(await auditOf(id)).toMatchObject([
      {
        action: 'dead_letter.correct',
        after: { status: 'replayed', correction: { units: { input: 40 } }, note: 'counted by hand' },
      },
    ]);
    expect((await correct(id, { units: { input: 999 } })).body).toMatchObject({ charged: '0.00004' });
    expect((await balance()).posted).toBe('4.99996');
    expect(await auditOf(id)).toHaveLength(1);
  });

  it('can name another account and be free', async () => {
    const id = await quarantine(eventOf(7, { accountId: uuidv7() }), 'unknown_account');
    expect((await correct(id, { accountId, billable: false })).body).toMatchObject({
      outcome: 'settled',
      charged: '0',
    });
  });

  it('stays open where the correction cannot be settled either', async () => {
    const id = await quarantine(eventOf(7), 'unknown_price');
    const { body } = await correct(id, { priceId: uuidv7() });
    expect(body).toMatchObject({ outcome: 'quarantined', reason: 'unknown_price', charged: '0' });
    expect(body.deadLetter.status).toBe('open');
  });

  it.each([
    ['/event', {}],
    ['/event/costNano', { costNano: '5' }],
    ['/event/units/input', { units: { input: -1 } }],
    ['/event/requestId', { requestId: uuidv7() }],
  ])('takes nothing that is wrong at %s', async (pointer, event) => {
    const id = await quarantine(eventOf(7), 'cost_mismatch');
    const answer = await correct(id, event);
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, pointer]);
  });

  it('was discarded before: 409', async () => {
    const id = await quarantine(eventOf(7), 'cost_mismatch');
    await discard(id);
    expect(codeOf(await correct(id, { billable: false }))).toEqual([409, 'dead_letter_resolved']);
  });
});
