import { RedisPockets, connectHoldRedis, pocketKeys } from '@tollgate/ledger';
import { MasterKey, type RunningProcess } from '@tollgate/runtime';
import {
  createTestDatabase,
  describeWithRedis,
  eventually,
  seedInstallation,
  startRedis,
  type TestDatabase,
  type TestRedis,
} from '@tollgate/testing';
import { Client } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { billingConfigSchema } from '../billing.config.js';
import { bootBilling } from '../boot.js';

// Real: Postgres, Redis, and two whole billing processes.

const WAIT_MS = 45_000;

let redis: TestRedis;
let database: TestDatabase;
let owner: Client;
let connection: ReturnType<typeof connectHoldRedis>;
let pockets: RedisPockets;
const billings: RunningProcess[] = [];

async function newAccount(): Promise<string> {
  const { accountId } = await seedInstallation({
    ownerUrl: database.ownerUrl,
    masterKey: MasterKey.generate(),
    upstreams: [],
    model: `model-${uuidv7()}`,
  });
  return accountId;
}

function askOf(accountId: string, total = 10_000n) {
  const [requestId, freshEscrowId] = [uuidv7(), uuidv7()];
  return { requestId, accountId, totalNano: total, leastNano: total, freshEscrowId, ttlSeconds: 90 };
}

/** A pocket of 20,000 nano-credits, half of them held by a request. */
async function filledPocket(): Promise<{ accountId: string; escrowId: string }> {
  const accountId = await newAccount();
  const ask = askOf(accountId);
  const { escrowId } = await pockets.hold(ask);
  await owner.query('SELECT tollgate.grant_escrow($1, $2, 20000)', [accountId, escrowId]);
  await pockets.grant(accountId, escrowId, { grantedNano: 20_000n, availableNano: 0n });
  expect(await pockets.hold(ask)).toMatchObject({ outcome: 'held' });
  await owner.query(
    `UPDATE tollgate.reservation SET changed_at = changed_at - interval '1 min' WHERE id = $1`,
    [escrowId],
  );
  return { accountId, escrowId };
}

const hasPocket = async (accountId: string): Promise<boolean> =>
  (await connection.exists(pocketKeys(accountId).pocket)) === 1;

async function escrow(escrowId: string): Promise<string> {
  const { rows } = await owner.query(
    `SELECT granted || ' ' || used || ' ' || released || ' ' || state AS line FROM tollgate.reservation WHERE id = $1`,
    [escrowId],
  );
  return rows[0]?.line ?? 'unknown';
}

describeWithRedis('billing, comparing pockets with escrows', () => {
  beforeAll(async () => {
    redis = await startRedis();
    database = await createTestDatabase();
    owner = new Client({ connectionString: database.ownerUrl });
    await owner.connect();
    connection = connectHoldRedis(redis.url);
    connection.on('error', () => undefined);
    await new Promise((resolve) => connection.once('ready', resolve));
    pockets = new RedisPockets(connection);
    const config = { PORT: '0', DATABASE_URL: database.appUrl, REDIS_URL: redis.url, LOG_LEVEL: 'silent' };
    for (let count = 0; count < 2; count += 1) {
      billings.push(await bootBilling(billingConfigSchema.parse(config)));
    }
  });

  afterAll(async () => {
    for (const { app } of billings) await app.close();
    const { rows } = await owner.query('SELECT * FROM tollgate.ledger_violation');
    expect(rows).toEqual([]);
    connection.disconnect();
    await owner.end();
    await database.drop();
    await redis.remove();
  });

  it('shuts a pocket whose escrow has ended, and lets an escrow close whose pocket is gone; others stay', async () => {
    const [sound, ended, lost, making] = [
      await filledPocket(),
      await filledPocket(),
      await filledPocket(),
      await newAccount(),
    ];
    await pockets.hold(askOf(making));
    await owner.query('SELECT tollgate.shut_escrow($1, NULL, NULL)', [ended.escrowId]);
    await connection.del(pocketKeys(lost.accountId).pocket);
    await eventually(async () => expect(await hasPocket(ended.accountId)).toBe(false), WAIT_MS);
    await eventually(async () => expect(await escrow(ended.escrowId)).toBe('20000 0 10000 closing'), WAIT_MS);
    await eventually(async () => expect(await escrow(lost.escrowId)).toBe('20000 0 0 closing'), WAIT_MS);
    await eventually(async () => {
      const { rows } = await owner.query('SELECT shut_at FROM tollgate.reservation WHERE id = $1', [
        lost.escrowId,
      ]);
      expect(rows[0].shut_at).not.toBeNull();
    }, WAIT_MS);
    expect(await escrow(sound.escrowId)).toBe('20000 0 0 open');
    expect([await hasPocket(sound.accountId), await hasPocket(making)]).toEqual([true, true]);
  });

  it('shuts a filled pocket of an escrow that Postgres never granted, as after a restored backup', async () => {
    const accountId = await newAccount();
    const ask = askOf(accountId);
    const { escrowId } = await pockets.hold(ask);
    await pockets.grant(accountId, escrowId, { grantedNano: 5_000n, availableNano: 0n });
    await eventually(async () => expect(await hasPocket(accountId)).toBe(false), WAIT_MS);
    expect(await escrow(escrowId)).toBe('unknown');
  });

  it('goes on by itself after Redis was away', async () => {
    await redis.stop('SIGKILL');
    await redis.start();
    const ended = await eventually(() => filledPocket());
    await owner.query('SELECT tollgate.shut_escrow($1, NULL, NULL)', [ended.escrowId]);
    await eventually(async () => expect(await hasPocket(ended.accountId)).toBe(false), WAIT_MS);
  });
});
