import {
  USAGE_JOB,
  USAGE_JOB_OPTIONS,
  USAGE_QUEUE,
  type UsageEvent,
  type UsageJob,
} from '@tollgate/contracts';
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
import { Queue, Worker } from 'bullmq';
import { Client } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { billingConfigSchema } from '../billing.config.js';
import { bootBilling } from '../boot.js';

let redis: TestRedis;
let database: TestDatabase;
let seeded: SeededInstallation;
let queue: Queue<UsageJob>;
let owner: Client;
let billing: RunningProcess | null = null;

async function startBilling(): Promise<void> {
  billing = await bootBilling(
    billingConfigSchema.parse({
      PORT: '0',
      DATABASE_URL: database.appUrl,
      REDIS_URL: redis.url,
      LOG_LEVEL: 'silent',
    }),
  );
}

async function stopBilling(): Promise<void> {
  await billing?.app.close();
  billing = null;
}

async function add(events: readonly UsageEvent[]): Promise<void> {
  await queue.add(USAGE_JOB, { version: 1, events }, { jobId: `u-${uuidv7()}` });
}

/** The debits of these events in the ledger, one for each that was settled. */
async function debitsOf(events: readonly UsageEvent[]): Promise<number> {
  const { rows } = await owner.query(
    "SELECT count(*)::int AS n FROM tollgate.transfer WHERE kind = 'usage' AND ref_id = ANY($1::uuid[])",
    [events.map(({ requestId }) => requestId)],
  );
  return rows[0].n;
}

async function violations(): Promise<unknown[]> {
  return (await owner.query('SELECT * FROM tollgate.ledger_violation')).rows;
}

async function startQueue(): Promise<void> {
  [redis, database] = await Promise.all([startRedis(), createTestDatabase()]);
  seeded = await seedInstallation({
    ownerUrl: database.ownerUrl,
    masterKey: MasterKey.generate(),
    upstreams: ['http://127.0.0.1:9/v1'],
  });
  queue = new Queue<UsageJob>(USAGE_QUEUE, {
    connection: connectTo(redis, 2),
    defaultJobOptions: USAGE_JOB_OPTIONS,
  });
  queue.on('error', () => undefined);
  owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
}

async function removeQueue(): Promise<void> {
  await queue?.close();
  await Promise.all([owner?.end(), redis?.remove()]);
  await database?.drop();
}

function connectTo({ url }: TestRedis, connectionsMax: number): ReturnType<typeof connectQueues> {
  return connectQueues({ databaseUrl: database.appUrl, redisUrl: url, use: 'take', connectionsMax });
}

/** A worker that takes a job and never gives it back, as when its process is killed. */
async function takeAndDie(): Promise<void> {
  let taken = (): void => undefined;
  const isTaken = new Promise<void>((resolve) => (taken = resolve));
  const dying = new Worker(
    USAGE_QUEUE,
    () => {
      taken();
      return new Promise(() => undefined);
    },
    { connection: connectTo(redis, 3), lockDuration: 1_000 },
  );
  dying.on('error', () => undefined);
  await isTaken;
  await dying.close(true);
}

describeWithRedis('billing with its queue on Redis', () => {
  beforeAll(startQueue);
  afterEach(stopBilling);
  afterAll(removeQueue);

  it('settles what comes through Redis, each event once, and leaves nothing of it there', async () => {
    await startBilling();
    const events = Array.from({ length: 50 }, () => usageEventOf(seeded));
    await add(events);
    await add(events);
    await eventually(async () => expect(await debitsOf(events)).toBe(50));
    await eventually(async () =>
      expect(await queue.getJobCounts('waiting', 'active', 'delayed', 'completed', 'failed')).toEqual({
        waiting: 0,
        active: 0,
        delayed: 0,
        completed: 0,
        failed: 0,
      }),
    );
    expect(await debitsOf(events)).toBe(50);
    expect(await violations()).toEqual([]);
  });

  it('settles the job of a worker that died over it', async () => {
    const events = [usageEventOf(seeded)];
    await add(events);
    await takeAndDie();
    await startBilling();
    await eventually(async () => expect(await debitsOf(events)).toBe(1), 25_000);
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)('loses nothing that Redis took before a %s', async (signal) => {
    const events = Array.from({ length: 20 }, () => usageEventOf(seeded));
    await add(events);
    await redis.stop(signal);
    await redis.start();
    await startBilling();
    await eventually(async () => expect(await debitsOf(events)).toBe(20));
  });

  it('goes on by itself after Redis was away', async () => {
    await startBilling();
    await redis.stop('SIGKILL');
    await redis.start();
    const events = [usageEventOf(seeded)];
    await add(events);
    await eventually(async () => expect(await debitsOf(events)).toBe(1), 20_000);
    expect(await violations()).toEqual([]);
  });
});
