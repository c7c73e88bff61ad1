import {
  USAGE_JOB,
  USAGE_JOB_OPTIONS,
  USAGE_QUEUE,
  parseUsageJob,
  usageJobVersion,
  type UsageEvent,
} from '@tollgate/contracts';
import { CostCheck, poolSql, settleUsage } from '@tollgate/ledger';
import { createPool } from '@tollgate/persistence';
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
import { Client, type Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { billingConfigSchema } from '../billing.config.js';
import { bootBilling } from '../boot.js';

// Real: Postgres, BullMQ on both of its stores, the billing process of this build, and a worker as the build before had it: it
// reads jobs of version 1 alone.

const JOBS = 60;
const EVENTS_OF_JOB = 5;
const RETRY_DELAY_MS = 250;

let database: TestDatabase;
let seeded: SeededInstallation;
let owner: Client;
let pool: Pool;
let redis: TestRedis | null = null;
const running: (() => Promise<unknown>)[] = [];

async function open(): Promise<void> {
  database = await createTestDatabase();
  seeded = await seedInstallation({
    ownerUrl: database.ownerUrl,
    masterKey: MasterKey.generate(),
    upstreams: ['http://127.0.0.1:9/v1'],
  });
  owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
  pool = createPool({ url: database.appUrl, max: 3, name: 'older-worker' });
}

async function close(): Promise<void> {
  for (const stop of running.splice(0)) await stop();
  await Promise.all([owner?.end(), pool?.end()]);
  await database?.drop();
  await redis?.remove();
  redis = null;
}

function connect(use: 'add' | 'take'): ReturnType<typeof connectQueues> {
  return connectQueues({ databaseUrl: database.appUrl, redisUrl: redis?.url, use, connectionsMax: 3 });
}

/** Counts the jobs of the newer version that the older worker took and gave back. */
function startOlderWorker(): { worker: Worker; refused: () => number } {
  let refused = 0;
  const costs = new CostCheck();
  const worker = new Worker(
    USAGE_QUEUE,
    async ({ data }) => {
      if (data.version !== 1) {
        refused += 1;
        throw new Error(`usage job of contract version ${String(data.version)}; this build reads 1`);
      }
      await settleUsage(poolSql(pool), costs, parseUsageJob(data).events);
    },
    // The delays of the real one double up to half a minute, each time that it takes the same job again.
    { connection: connect('take'), settings: { backoffStrategy: () => RETRY_DELAY_MS } },
  );
  worker.on('error', () => undefined);
  return { worker, refused: () => refused };
}

/** Every second job is of the version that the older worker does not read. */
async function addJobs(queue: Queue): Promise<UsageEvent[]> {
  const all: UsageEvent[] = [];
  for (let job = 0; job < JOBS; job += 1) {
    const events = Array.from({ length: EVENTS_OF_JOB }, () =>
      usageEventOf(seeded, job % 2 === 0 ? {} : { escrowId: uuidv7() }),
    );
    const version = usageJobVersion(events);
    expect(version).toBe(job % 2 === 0 ? 1 : 2);
    await queue.add(USAGE_JOB, { version, events }, { jobId: `u-${uuidv7()}` });
    // Some come twice, as after an add whose answer was lost.
    if (job % 7 === 0) await queue.add(USAGE_JOB, { version, events }, { jobId: `u-${uuidv7()}` });
    all.push(...events);
  }
  return all;
}

async function itLosesNothing(): Promise<void> {
  const queue = new Queue(USAGE_QUEUE, { connection: connect('add'), defaultJobOptions: USAGE_JOB_OPTIONS });
  queue.on('error', () => undefined);
  const older = startOlderWorker();
  running.push(
    () => older.worker.close(),
    () => queue.close(),
  );
  await older.worker.waitUntilReady();
  const events = await addJobs(queue);
  // The older one has had its turn before the newer one begins: it took some that it does not read.
  await eventually(async () => expect(older.refused()).toBeGreaterThan(0));
  const config = { PORT: '0', DATABASE_URL: database.appUrl, REDIS_URL: redis?.url, LOG_LEVEL: 'silent' };
  const { app }: RunningProcess = await bootBilling(billingConfigSchema.parse(config));
  running.unshift(() => app.close());
  await eventually(
    async () => expect(await queue.getJobCountByTypes('waiting', 'active', 'delayed')).toBe(0),
    60_000,
  );
  const { rows } = await owner.query(
    `SELECT count(*)::int AS transfers, count(DISTINCT ref_id)::int AS requests, sum(amount)::text AS amount
       FROM tollgate.transfer WHERE kind = 'usage' AND ref_id = ANY ($1::uuid[])`,
    [events.map(({ requestId }) => requestId)],
  );
  expect(rows[0]).toEqual({
    transfers: events.length,
    requests: events.length,
    amount: (7_500 * events.length).toString(),
  });
  expect(await queue.getJobCountByTypes('failed')).toBe(0);
  expect((await owner.query('SELECT * FROM tollgate.quarantine')).rows).toEqual([]);
  expect((await owner.query('SELECT * FROM tollgate.ledger_violation')).rows).toEqual([]);
}

describe('worker N−1 beside worker N: nothing lost, nothing twice', () => {
  beforeAll(open);
  afterAll(close);

  it('with the queue in Postgres', itLosesNothing);
});

describeWithRedis('worker N−1 beside worker N: nothing lost, nothing twice, on Redis', () => {
  beforeAll(async () => {
    redis = await startRedis();
    await open();
  });
  afterAll(close);

  it('with the queue in Redis', itLosesNothing);
});
