import {
  USAGE_JOB_OPTIONS,
  USAGE_QUEUE,
  parseUsageJob,
  type UsageEvent,
  type UsageJob,
} from '@tollgate/contracts';
import { poolSql, settleBatch } from '@tollgate/ledger';
import { createPool } from '@tollgate/persistence';
import { Health, MasterKey, ProcessMetrics, connectQueues, createLogger } from '@tollgate/runtime';
import {
  createTestDatabase,
  seedInstallation,
  usageEventOf,
  type SeededInstallation,
  type TestDatabase,
} from '@tollgate/testing';
import { Queue } from 'bullmq';
import type { Pool } from 'pg';
import { GatewayMetrics } from '../telemetry/gateway-metrics.js';
import { EVENT_BUFFER_MAX, UsagePublisher } from './usage-publisher.js';

let database: TestDatabase;
let seeded: SeededInstallation;
let pool: Pool;
let queue: Queue<UsageJob>;
let deadQueue: Queue<UsageJob>;
const logger = createLogger('test', 'silent');
const { events: counts } = new GatewayMetrics(new ProcessMetrics('gateway', new Health()));

beforeAll(async () => {
  database = await createTestDatabase();
  seeded = await seedInstallation({
    ownerUrl: database.ownerUrl,
    masterKey: MasterKey.generate(),
    upstreams: ['http://127.0.0.1:9/v1'],
  });
  pool = createPool({ url: database.appUrl, max: 4, name: 'test' });
  queue = openQueue(database.appUrl);
  deadQueue = openQueue(database.appUrl.replace(/:\d+\//, ':1/'));
});

afterAll(async () => {
  await Promise.all([queue?.close(), deadQueue?.close().catch(() => undefined), pool?.end()]);
  await database?.drop();
});

function openQueue(databaseUrl: string): Queue<UsageJob> {
  const connection = connectQueues({ databaseUrl, use: 'add', connectionsMax: 2 });
  const opened = new Queue<UsageJob>(USAGE_QUEUE, { connection, defaultJobOptions: USAGE_JOB_OPTIONS });
  opened.on('error', () => undefined);
  return opened;
}

function event(): UsageEvent {
  return usageEventOf(seeded);
}

describe('UsagePublisher', () => {
  it('brings events to the queue in batches of at most two hundred, each under an id of its own', async () => {
    const accepted: string[] = [];
    const publisher = new UsagePublisher({
      queue,
      logger,
      counts,
      journal: null,
      settleDirectly: async () => {
        throw new Error('the queue is there');
      },
      onAccepted: async (events) => {
        accepted.push(...events.map(({ requestId }) => requestId));
      },
    });
    const events = Array.from({ length: 450 }, event);
    for (const each of events) publisher.publish(each);
    await publisher.flush();

    const jobs = await queue.getJobs(['waiting']);
    expect(jobs.map(({ data }) => data.events.length).sort()).toEqual([200, 200, 50]);
    expect(jobs.every(({ id }) => /^u-[0-9a-f-]{36}$/.test(id ?? ''))).toBe(true);
    const delivered = jobs.flatMap(({ data }) =>
      parseUsageJob(data).events.map(({ requestId }) => requestId),
    );
    expect(delivered.sort()).toEqual(events.map(({ requestId }) => requestId).sort());
    expect(accepted.sort()).toEqual(delivered);
  });

  it('settles in the ledger itself where the queue does not accept', async () => {
    const accepted: UsageEvent[] = [];
    const publisher = new UsagePublisher({
      queue: deadQueue,
      logger,
      counts,
      journal: null,
      settleDirectly: async (events) => {
        await settleBatch(poolSql(pool), events);
      },
      onAccepted: async (events) => {
        accepted.push(...events);
      },
    });
    const events = [event(), event()];
    for (const each of events) publisher.publish(each);
    await publisher.flush();
    expect(accepted).toEqual(events);
    const { rows } = await pool.query('SELECT request_id FROM tollgate.usage_record ORDER BY request_id');
    expect(rows.map(({ request_id: id }: { request_id: string }) => id)).toEqual(
      events.map(({ requestId }) => requestId),
    );
  });

  it('keeps events while neither takes them, says when there is no room, and loses none', async () => {
    let isAway = true;
    const accepted: UsageEvent[] = [];
    const publisher = new UsagePublisher({
      queue: deadQueue,
      logger,
      counts,
      journal: null,
      settleDirectly: async () => {
        if (isAway) throw new Error('the ledger is away');
      },
      onAccepted: async (events) => {
        accepted.push(...events);
      },
    });
    const one = event();
    for (let n = 0; n < EVENT_BUFFER_MAX; n += 1) publisher.publish(one);
    expect(publisher.hasRoom).toBe(false);
    expect(accepted).toHaveLength(0);
    isAway = false;
    await publisher.flush();
    expect(accepted).toHaveLength(EVENT_BUFFER_MAX);
    expect(publisher.hasRoom).toBe(true);
  });
});
