import { USAGE_JOB, USAGE_JOB_OPTIONS, USAGE_QUEUE, type UsageEvent } from '@tollgate/contracts';
import { RedisPockets, connectHoldRedis, pocketKeys } from '@tollgate/ledger';
import { MasterKey, connectQueues, type RunningProcess } from '@tollgate/runtime';
import {
  createTestDatabase,
  describeWithRedis,
  eventually,
  seedInstallation,
  startRedis,
  usageEventOf,
  type SeededInstallation,
  type TestDatabase,
  type TestRedis,
} from '@tollgate/testing';
import { Queue } from 'bullmq';
import { Client } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { billingConfigSchema } from '../billing.config.js';
import { bootBilling } from '../boot.js';

// Real: Postgres, Redis, BullMQ on both of its stores, and the whole billing process.

let database: TestDatabase;
let seeded: SeededInstallation;
let owner: Client;
let billing: RunningProcess | null = null;
let queue: Queue;

async function open(redisUrl?: string): Promise<void> {
  database = await createTestDatabase();
  seeded = await seedInstallation({
    ownerUrl: database.ownerUrl,
    masterKey: MasterKey.generate(),
    upstreams: ['http://127.0.0.1:9/v1'],
  });
  owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
  const connection = connectQueues({ databaseUrl: database.appUrl, redisUrl, use: 'add', connectionsMax: 2 });
  queue = new Queue(USAGE_QUEUE, { connection, defaultJobOptions: USAGE_JOB_OPTIONS });
  queue.on('error', () => undefined);
}

async function startBilling(redisUrl?: string): Promise<void> {
  billing = await bootBilling(
    billingConfigSchema.parse({
      PORT: '0',
      DATABASE_URL: database.appUrl,
      REDIS_URL: redisUrl,
      LOG_LEVEL: 'silent',
    }),
  );
}

async function stopBilling(): Promise<void> {
  await billing?.app.close();
  billing = null;
}

async function close(): Promise<void> {
  await stopBilling();
  const { rows } = await owner.query('SELECT * FROM tollgate.ledger_violation');
  expect(rows).toEqual([]);
  await Promise.all([queue?.close(), owner?.end()]);
  await database?.drop();
}

async function linesOf(requestId: string): Promise<string[]> {
  const { rows } = await owner.query(
    `SELECT kind || ' ' || amount AS line FROM tollgate.transfer WHERE ref_id = $1 ORDER BY id`,
    [requestId],
  );
  return rows.map(({ line }) => line);
}

async function heldBy(accountId: string): Promise<string> {
  const { rows } = await owner.query('SELECT held::text FROM tollgate.account WHERE id = $1', [accountId]);
  return rows[0].held;
}

/** A hold in Postgres that ended so long ago, of a request that had delivered what `event` says. */
async function overdueHold(event: UsageEvent, by: string): Promise<void> {
  const { requestId, accountId } = event;
  const ask = [{ r: requestId, a: accountId, total: '10000', ttl: 90 }];
  await owner.query('SELECT * FROM tollgate.hold_batch($1)', [JSON.stringify(ask)]);
  await owner.query('SELECT tollgate.touch_batch($1, 90, NULL, false, $2)', [
    [requestId],
    JSON.stringify([{ ...event, swept: true }]),
  ]);
  await owner.query('UPDATE tollgate.reservation SET deadline_at = now() - $2::interval WHERE id = $1', [
    requestId,
    by,
  ]);
}

describe('billing, sweeping holds in Postgres', () => {
  beforeAll(() => open());
  afterEach(stopBilling);
  afterAll(close);

  it('charges what a request had delivered whose gateway died', async () => {
    const event = usageEventOf(seeded);
    await overdueHold(event, '1 s');
    await startBilling();
    await eventually(
      async () => expect(await linesOf(event.requestId)).toEqual([`swept ${event.costNano}`]),
      15_000,
    );
    expect(await heldBy(event.accountId)).toBe('0');
  });

  it('settles first what was queued before the hold was overdue', async () => {
    const event = usageEventOf(seeded);
    await queue.add(
      USAGE_JOB,
      { version: 1, events: [event] },
      { jobId: `u-${uuidv7()}`, timestamp: Date.now() - 600_000 },
    );
    await overdueHold({ ...event, costNano: '7' }, '5 min');
    await startBilling();
    await eventually(
      async () => expect(await linesOf(event.requestId)).toEqual([`usage ${event.costNano}`]),
      15_000,
    );
    expect(await heldBy(event.accountId)).toBe('0');
  });
});

let redis: TestRedis;
let connection: ReturnType<typeof connectHoldRedis>;
let pockets: RedisPockets;

/** A request that holds 10,000 of an escrow of 20,000 for a second. */
async function shortHold(event: UsageEvent, delivered: boolean): Promise<string> {
  const { requestId, accountId } = event;
  const ask = { requestId, accountId, totalNano: 10_000n, leastNano: 10_000n, ttlSeconds: 1 };
  const { escrowId } = await pockets.hold({ ...ask, freshEscrowId: uuidv7() });
  const { rows } = await owner.query('SELECT granted FROM tollgate.grant_escrow($1, $2, 20000)', [
    accountId,
    escrowId,
  ]);
  await pockets.grant(accountId, escrowId, { grantedNano: BigInt(rows[0].granted), availableNano: 0n });
  expect(await pockets.hold({ ...ask, freshEscrowId: uuidv7() })).toMatchObject({
    outcome: 'held',
    escrowId,
  });
  if (delivered) await pockets.touch([{ requestId, accountId, checkpoint: { ...event, swept: true } }], 1);
  return escrowId;
}

async function escrow(escrowId: string): Promise<string> {
  const { rows } = await owner.query(
    `SELECT granted || ' ' || used || ' ' || released || ' ' || state AS line FROM tollgate.reservation WHERE id = $1`,
    [escrowId],
  );
  return rows[0].line;
}

describeWithRedis('billing, sweeping holds in Redis', () => {
  beforeAll(async () => {
    redis = await startRedis();
    await open(redis.url);
    connection = connectHoldRedis(redis.url);
    connection.on('error', () => undefined);
    await new Promise((resolve) => connection.once('ready', resolve));
    pockets = new RedisPockets(connection);
    await startBilling(redis.url);
  });

  afterAll(async () => {
    connection.disconnect();
    await close();
    await redis.remove();
  });

  it('charges the escrow for what was delivered, and brings the rest back when it is idle', async () => {
    const event = usageEventOf(seeded);
    const escrowId = await shortHold(event, true);
    await eventually(
      async () => expect(await linesOf(event.requestId)).toEqual([`swept ${event.costNano}`]),
      25_000,
    );
    const { holds } = pocketKeys(event.accountId);
    await eventually(async () => expect(await connection.hexists(holds, event.requestId)).toBe(0));
    const ago = (column: string, interval: string) =>
      owner.query(`UPDATE tollgate.reservation SET ${column} = ${column} - $2::interval WHERE id = $1`, [
        escrowId,
        interval,
      ]);
    await ago('changed_at', '6 min');
    const rest = (20_000n - BigInt(event.costNano)).toString();
    await eventually(
      async () => expect(await escrow(escrowId)).toBe(`20000 ${event.costNano} ${rest} closing`),
      15_000,
    );
    expect(await pockets.shut(event.accountId, escrowId)).toBeNull();
    await ago('shut_at', '3 min');
    await eventually(
      async () => expect(await escrow(escrowId)).toBe(`20000 ${event.costNano} ${rest} closed`),
      15_000,
    );
    expect(await heldBy(event.accountId)).toBe('0');
  });

  it('frees a hold of which nothing was delivered', async () => {
    const event = usageEventOf(seeded);
    const escrowId = await shortHold(event, false);
    const { holds } = pocketKeys(event.accountId);
    await eventually(async () => expect(await connection.hexists(holds, event.requestId)).toBe(0), 25_000);
    expect(await linesOf(event.requestId)).toEqual([]);
    expect(await pockets.shut(event.accountId, escrowId)).toEqual({ spentNano: 0n, heldNano: 0n });
    await owner.query('SELECT tollgate.shut_escrow($1, 0, 0)', [escrowId]);
  });
});
