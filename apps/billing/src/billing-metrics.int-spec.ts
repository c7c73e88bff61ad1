import { USAGE_JOB, USAGE_JOB_OPTIONS, USAGE_QUEUE, type UsageJob } from '@tollgate/contracts';
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
} from '@tollgate/testing';
import { Queue } from 'bullmq';
import { Client } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { billingConfigSchema } from './billing.config.js';
import { bootBilling } from './boot.js';
import { readBacklog } from './telemetry/backlog-watch.js';

const TOKEN = 'a-metrics-token-of-some-length';

let database: TestDatabase;
let seeded: SeededInstallation;

beforeAll(async () => {
  database = await createTestDatabase();
  seeded = await seedInstallation({
    ownerUrl: database.ownerUrl,
    masterKey: MasterKey.generate(),
    upstreams: ['http://127.0.0.1:9/v1'],
  });
});

afterAll(() => database?.drop());

function openQueue(redisUrl?: string): Queue {
  const connection = connectQueues({ databaseUrl: database.appUrl, redisUrl, use: 'add', connectionsMax: 2 });
  return new Queue(USAGE_QUEUE, { connection, defaultJobOptions: USAGE_JOB_OPTIONS });
}

function add(queue: Queue, finishedAt: string, delayMs = 0): Promise<unknown> {
  const job: UsageJob = { version: 1, events: [usageEventOf(seeded, { finishedAt }), usageEventOf(seeded)] };
  return queue.add(USAGE_JOB, job, { jobId: `u-${uuidv7()}`, delay: delayMs });
}

async function itFindsTheOldestEvent(queue: Queue): Promise<void> {
  expect(await readBacklog(queue)).toEqual({
    jobs: { waiting: 0, active: 0, delayed: 0, failed: 0 },
    oldestEventAtMs: null,
  });
  const [oldest, older, newer] = [
    '2026-11-21T10:00:00.000Z',
    '2026-11-21T11:00:00.000Z',
    '2026-11-21T12:00:00.000Z',
  ];
  await add(queue, older);
  await add(queue, newer);
  expect(await readBacklog(queue)).toEqual({
    jobs: { waiting: 2, active: 0, delayed: 0, failed: 0 },
    oldestEventAtMs: Date.parse(older),
  });
  await add(queue, oldest, 60_000);
  expect(await readBacklog(queue)).toEqual({
    jobs: { waiting: 2, active: 0, delayed: 1, failed: 0 },
    oldestEventAtMs: Date.parse(oldest),
  });
}

describe('the backlog', () => {
  it('has its oldest event among those that wait and those that are tried again, in Postgres', async () => {
    const queue = openQueue();
    await itFindsTheOldestEvent(queue);
    await queue.obliterate({ force: true });
    await queue.close();
  });
});

describeWithRedis('the backlog in Redis', () => {
  it('has its oldest event among those that wait and those that are tried again', async () => {
    const redis = await startRedis();
    const queue = openQueue(redis.url);
    await queue.waitUntilReady();
    await itFindsTheOldestEvent(queue);
    await queue.close();
    await redis.remove();
  });
});

describe('the metrics of billing', () => {
  let billing: RunningProcess;
  let owner: Client;
  let queue: Queue;
  let url: string;

  beforeAll(async () => {
    owner = new Client({ connectionString: database.ownerUrl });
    await owner.connect();
    // The first account's books are wrong from the beginning: whoever owns the tables can do that.
    await owner.query('UPDATE tollgate.account SET posted = posted + 1');
    queue = openQueue();
    billing = await bootBilling(
      billingConfigSchema.parse({
        PORT: '0',
        DATABASE_URL: database.appUrl,
        LOG_LEVEL: 'silent',
        METRICS_TOKEN: TOKEN,
      }),
    );
    url = `${await (billing.app as unknown as { getUrl(): Promise<string> }).getUrl()}/metrics`;
  });

  afterAll(async () => {
    await billing?.app.close();
    await Promise.all([queue?.close(), owner?.end()]);
  });

  async function lines(): Promise<string[]> {
    const answer = await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } });
    expect(answer.status).toBe(200);
    return (await answer.text()).split('\n');
  }

  it('are for those who have the token', async () => {
    for (const authorization of ['', `Bearer ${TOKEN}x`]) {
      const answer = await fetch(url, { headers: { authorization } });
      expect([answer.status, await answer.json()]).toEqual([
        401,
        expect.objectContaining({ statusCode: 401 }),
      ]);
    }
  });

  it('count what is settled, what is put into quarantine, and how long it took', async () => {
    const job = {
      version: 1,
      events: [usageEventOf(seeded), usageEventOf(seeded, { costNano: '1' }), { is: 'none' }],
    };
    await queue.add(USAGE_JOB, job, { jobId: `u-${uuidv7()}` });
    await eventually(async () => {
      const found = await lines();
      expect(found).toContain('tollgate_settled_events_total{outcome="settled"} 1');
      expect(found).toContain('tollgate_settled_events_total{outcome="quarantined"} 2');
      expect(found).toContain('tollgate_billing_settle_delay_seconds_count 2');
      expect(found).toContain('tollgate_billing_job_duration_seconds_count 1');
      expect(found).toContain('tollgate_billing_job_failures_total 0');
    });
  });

  it('show the queue, open dead letters, and whether the books are right', async () => {
    await eventually(async () => {
      const found = await lines();
      expect(found).toContain('tollgate_billing_queue_reachable 1');
      expect(found).toContain('tollgate_billing_queue_jobs{state="waiting"} 0');
      expect(found).toContain('tollgate_billing_dead_letters_open 2');
      expect(found.find((line) => /^tollgate_billing_ledger_violations [1-9]/.test(line))).toBeDefined();
      expect(found).toContain('tollgate_ready 1');
    }, 15_000);
  }, 20_000);
});
