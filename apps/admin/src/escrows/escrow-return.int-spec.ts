import { randomUUID } from 'node:crypto';
import { RedisPockets, connectHoldRedis } from '@tollgate/ledger';
import { describeWithRedis, startRedis, type TestRedis } from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { freshKey, openAccount, startAdmin, type AdminUnderTest, type Answer } from '../admin.spec-kit.js';

// Real: Postgres, Redis, and the admin process.

const CREDIT = 1_000_000_000n;

let redis: TestRedis;
let admin: AdminUnderTest;
let connection: ReturnType<typeof connectHoldRedis>;
let pockets: RedisPockets;

async function connectPockets(): Promise<void> {
  connection = connectHoldRedis(redis.url);
  connection.on('error', () => undefined);
  await new Promise((resolve) => connection.once('ready', resolve));
  pockets = new RedisPockets(connection);
}

/** An account of 100 credits, all of them in a pocket, of which a running request holds 30. */
async function accountInPocket(): Promise<string> {
  const accountId = await openAccount(admin, '100');
  const ask = {
    requestId: uuidv7(),
    accountId,
    totalNano: 30n * CREDIT,
    leastNano: 30n * CREDIT,
    freshEscrowId: uuidv7(),
    ttlSeconds: 90,
  };
  const { escrowId } = await pockets.hold(ask);
  expect(await grant(accountId, escrowId)).toMatchObject({ outcome: 'open' });
  await pockets.grant(accountId, escrowId, { grantedNano: 100n * CREDIT, availableNano: 0n });
  expect(await pockets.hold(ask)).toMatchObject({ outcome: 'held' });
  return accountId;
}

async function grant(accountId: string, escrowId: string): Promise<object> {
  const { rows } = await admin.owner.query('SELECT outcome FROM tollgate.grant_escrow($1, $2, $3)', [
    accountId,
    escrowId,
    (100n * CREDIT).toString(),
  ]);
  return rows[0];
}

function adjust(accountId: string, body: object, headers = freshKey()): Promise<Answer> {
  return admin.call('POST', `/accounts/${accountId}/adjustments`, { body, headers });
}

async function rowOf(accountId: string): Promise<object> {
  const { rows } = await admin.owner.query(
    'SELECT (posted / 1000000000)::int AS posted, (held / 1000000000)::int AS held FROM tollgate.account WHERE id = $1',
    [accountId],
  );
  return rows[0];
}

async function start(): Promise<void> {
  redis = await startRedis();
  await connectPockets();
  admin = await startAdmin({ REDIS_URL: redis.url });
}

async function stop(): Promise<void> {
  const { rows } = await admin.owner.query('SELECT * FROM tollgate.ledger_violation');
  expect(rows).toEqual([]);
  connection.disconnect();
  await admin.stop();
  await redis.remove();
}

describeWithRedis('credits that are set aside for Redis', () => {
  beforeAll(start);
  afterAll(stop);

  it('withdrawal of money in escrow succeeds while requests run', async () => {
    const accountId = await accountInPocket();
    const key = freshKey();
    const refund = { kind: 'refund', amount: '-70', note: 'paid back' };
    const answer = await adjust(accountId, refund, key);
    expect([answer.status, answer.body.transfer.balanceAfter]).toEqual([201, '30']);
    expect(await rowOf(accountId)).toEqual({ posted: 30, held: 30 });
    expect((await adjust(accountId, refund, key)).body).toEqual(answer.body);
    const { body: audit } = await admin.call(
      'GET',
      `/audit?target=account/${accountId}&action=credits.refund`,
    );
    expect(audit.data).toHaveLength(1);
  });

  it('…and says what running requests hold', async () => {
    const accountId = await accountInPocket();
    const answer = await adjust(accountId, { kind: 'adjustment', amount: '-80' });
    expect([answer.status, answer.body.code]).toEqual([409, 'would_break_floor']);
    expect(answer.body.detail).toContain('70 credits are free, and running requests hold 30.');
    // What the pocket gave back stays free, though nothing was booked.
    expect(await rowOf(accountId)).toEqual({ posted: 100, held: 30 });
  });

  it('raising the floor, expiry and refund take back escrow first', async () => {
    const accountId = await accountInPocket();
    const raise = (floor: string) => admin.call('PATCH', `/accounts/${accountId}`, { body: { floor } });
    const raised = await raise('70');
    expect([raised.status, raised.body.balance]).toEqual([
      200,
      expect.objectContaining({ posted: '100', floor: '70' }),
    ]);
    const refused = await raise('71');
    expect([refused.status, refused.body.code]).toEqual([409, 'would_break_floor']);
    expect(refused.body.detail).toContain('0 credits are free, and running requests hold 30.');
  });
});

describeWithRedis('credits that are set aside for Redis, when things happen at once', () => {
  beforeAll(start);
  afterAll(stop);

  it('suspended account gets no grant, and what it does not use comes back at once', async () => {
    const accountId = await accountInPocket();
    const { status } = await admin.call('PATCH', `/accounts/${accountId}`, { body: { status: 'suspended' } });
    expect(status).toBe(200);
    expect(await rowOf(accountId)).toEqual({ posted: 100, held: 30 });
    expect(await grant(accountId, uuidv7())).toEqual({ outcome: 'suspended' });
  });

  it('come to one of many withdrawals at the same time, and the books stay right', async () => {
    const accountId = await accountInPocket();
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => adjust(accountId, { kind: 'refund', amount: '-40' })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409, 409]);
    expect(await rowOf(accountId)).toEqual({ posted: 60, held: 30 });
  });

  it('come to a withdrawal that is asked for again and again before it is done, and each call is told so', async () => {
    const refund = { kind: 'refund', amount: '-40' };
    // Which of them is first to find the pocket gone differs from time to time.
    for (let round = 0; round < 10; round += 1) {
      const accountId = await accountInPocket();
      const key = freshKey();
      const answers = await Promise.all(Array.from({ length: 6 }, () => adjust(accountId, refund, key)));
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 200, 201]);
      expect(new Set(answers.map(({ body }) => body.transfer.id)).size).toBe(1);
      expect(await rowOf(accountId)).toEqual({ posted: 60, held: 30 });
    }
  });

  it('are not taken while Redis is away: nothing is booked, and it says so', async () => {
    const accountId = await accountInPocket();
    await redis.stop('SIGKILL');
    const refused = await adjust(accountId, { kind: 'refund', amount: '-70' });
    expect([refused.status, refused.body.code]).toEqual([503, 'redis_unavailable']);
    expect(refused.headers['retry-after']).toBe('5');
    expect(await rowOf(accountId)).toEqual({ posted: 100, held: 100 });
    const suspended = await admin.call('PATCH', `/accounts/${accountId}`, { body: { status: 'suspended' } });
    expect(suspended.status).toBe(200);
    const topped = await admin.call('POST', `/accounts/${accountId}/top-ups`, {
      body: { amount: '5' },
      headers: freshKey(),
    });
    expect(topped.status).toBe(201);
    await redis.start();
  });
});

describe('without Redis', () => {
  it('a withdrawal asks for what an earlier configuration set aside, and is refused until that is back', async () => {
    const plain = await startAdmin();
    admin = plain;
    const accountId = await openAccount(plain, '100');
    const escrowId = randomUUID();
    await grant(accountId, escrowId);
    expect((await adjust(accountId, { kind: 'refund', amount: '-1' })).status).toBe(409);
    const { rows } = await plain.owner.query(
      'SELECT state, shut_at FROM tollgate.reservation WHERE id = $1',
      [escrowId],
    );
    expect(rows).toEqual([{ state: 'closing', shut_at: null }]);
    await plain.stop();
  });
});
