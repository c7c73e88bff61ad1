import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { USAGE_QUEUE, type UsageEvent, type UsageJob } from '@tollgate/contracts';
import { MasterKey, connectQueues } from '@tollgate/runtime';
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
import type { OwnerOptions } from '../journal-owner.spec-kit.js';
import { JournalOwner, SourceProcess, journalRoot } from './journal.spec-kit.js';

// Gateways that die, with the real queue on a real Redis, and the real billing process.

const PATIENCE_MS = 60_000;

let database: TestDatabase;
let seeded: SeededInstallation;
let owner: Client;
let redis: TestRedis;
let root: string;
let processes: { kill(): Promise<void> }[] = [];

async function startServers(): Promise<void> {
  database = await createTestDatabase();
  seeded = await seedInstallation({
    ownerUrl: database.ownerUrl,
    masterKey: MasterKey.generate(),
    upstreams: ['http://127.0.0.1:9/v1'],
  });
  owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
  redis = await startRedis();
  root = journalRoot();
}

async function stopServers(): Promise<void> {
  await Promise.all(processes.map((one) => one.kill()));
  processes = [];
  await owner?.end();
  await redis?.remove();
  await database?.drop();
  rmSync(root, { recursive: true, force: true });
}

async function startGateway(options: Partial<OwnerOptions> = {}): Promise<JournalOwner> {
  const gateway = await JournalOwner.start({
    root,
    databaseUrl: database.appUrl,
    redisUrl: redis.url,
    intervalMs: 500,
    ...options,
  });
  processes.push(gateway);
  return gateway;
}

function startBilling(): SourceProcess {
  const billing = SourceProcess.start('apps/billing/src/main.ts', {
    environment: { DATABASE_URL: database.appUrl, REDIS_URL: redis.url, PORT: '0', LOG_LEVEL: 'error' },
  });
  processes.push(billing);
  return billing;
}

async function withQueue<T>(use: (queue: Queue<UsageJob>) => Promise<T>): Promise<T> {
  const connection = connectQueues({
    databaseUrl: database.appUrl,
    redisUrl: redis.url,
    use: 'add',
    connectionsMax: 1,
  });
  const queue = new Queue<UsageJob>(USAGE_QUEUE, { connection });
  try {
    return await use(queue);
  } finally {
    await queue.close();
  }
}

interface BookedUsage {
  readonly request_id: string;
  readonly swept: boolean;
  readonly cost: string;
}

async function booked(requestIds: readonly string[]): Promise<BookedUsage[]> {
  const { rows } = await owner.query<BookedUsage>(
    'SELECT request_id, swept, cost::text FROM tollgate.usage_record WHERE request_id = ANY($1) ORDER BY 1, 2',
    [requestIds],
  );
  return rows;
}

async function expectBooked(expected: readonly BookedUsage[]): Promise<void> {
  const requestIds = expected.map(({ request_id: id }) => id);
  const sorted = [...expected].sort((a, b) => (a.request_id < b.request_id ? -1 : 1));
  await eventually(async () => expect(await booked(requestIds)).toEqual(sorted), PATIENCE_MS, 250);
}

function settledAs(event: UsageEvent): BookedUsage {
  return { request_id: event.requestId, swept: false, cost: event.costNano };
}

function event(overrides: Partial<UsageEvent> = {}): UsageEvent {
  return usageEventOf(seeded, overrides);
}

/** As the gateway would have reported it early: the swept amount is to be told apart from the true one. */
function checkpointOf(one: UsageEvent): UsageEvent {
  return { ...one, units: { input: 10, output: 2 }, costNano: '2700', swept: true };
}

describeWithRedis('a gateway that dies', () => {
  beforeAll(startServers);
  afterAll(stopServers);

  it('gateway killed and Redis rolled back in the same second: running requests are swept, finished ones are exact', async () => {
    const dying = await startGateway();
    const finished = Array.from({ length: 20 }, () => event());
    const unpublished = event();
    const [streaming, silent] = [event(), event()];
    for (const one of [...finished, unpublished, streaming, silent]) {
      await dying.tell({ do: 'begun', event: one });
    }
    await dying.tell({ do: 'checkpoint', event: checkpointOf(streaming) });
    await dying.tell({ do: 'publish', events: finished });
    await dying.tell({ do: 'append', events: [unpublished] });
    await Promise.all([dying.kill(), redis.stop('SIGKILL')]);
    // Rolled back to before any of it.
    await redis.start();
    await withQueue(async (queue) => queue.obliterate({ force: true }));

    startBilling();
    await startGateway();
    await expectBooked([
      ...finished.map(settledAs),
      settledAs(unpublished),
      { request_id: streaming.requestId, swept: true, cost: '2700' },
    ]);
    expect(await booked([silent.requestId])).toEqual([]);
  }, 120_000);
});

describeWithRedis('a queue that changes', () => {
  beforeAll(async () => {
    await startServers();
    startBilling();
  });
  afterAll(stopServers);

  it('switch from embedded to Redis with jobs waiting: nothing lost', async () => {
    const embedded = await JournalOwner.start({ root, databaseUrl: database.appUrl });
    const waiting = [event(), event(), event()];
    await embedded.tell({ do: 'publish', events: waiting });
    const { rows } = await owner.query('SELECT count(*)::int AS count FROM bullmq.job');
    expect(rows[0].count).toBeGreaterThan(0);
    await embedded.kill();
    // Nobody reads the queue in Postgres any more.
    await startGateway();
    await expectBooked(waiting.map(settledAs));
  }, 120_000);

  it('job removed from the queue by hand: the event is settled within a minute', async () => {
    const gateway = await startGateway({ intervalMs: 15_000 });
    const lost = event();
    await withQueue(async (queue) => {
      // A paused queue keeps its jobs from billing for as long as it takes to remove one.
      await queue.pause();
      await gateway.tell({ do: 'publish', events: [lost] });
      for (const job of await queue.getJobs()) await job.remove();
      await queue.resume();
    });
    const removedAtMs = Date.now();
    await delay(2_000);
    expect(await booked([lost.requestId])).toEqual([]);
    await eventually(async () => expect(await booked([lost.requestId])).toHaveLength(1), 70_000, 250);
    expect(Date.now() - removedAtMs).toBeLessThan(60_000);
  }, 120_000);

  it('journal lines of the previous version are published byte for byte', async () => {
    // As a build of another day wrote it: members in another order, and one that is not known any more.
    const { requestId, accountId } = event();
    const body =
      `{"finishedAt":"2026-11-21T10:00:00.000Z","requestId":"${requestId}","tip":{"b":1,"a":[1e+21,0.1]},` +
      `"accountId":"${accountId}","units":{"output":1,"input":2},"model":"mod\\u0001el \\"ü"}`;
    const line = `{"kind":"event","contract":0,"event":${body}}`;
    const summed = `${String(Buffer.byteLength(line))} 1 ${line}`;
    mkdirSync(join(root, 'dead'));
    writeFileSync(
      join(root, 'dead/1.journal'),
      `\u001e${crc32(summed).toString(16).padStart(8, '0')} ${summed}\n`,
    );
    const gateway = await startGateway();
    await gateway.tell({ do: 'check' });
    // Billing does not know this version, so the job is still there.
    await withQueue(async (queue) => {
      const jobs = await queue.getJobs();
      const texts = jobs.map(({ data }) => JSON.stringify(data));
      expect(texts).toContain(`{"version":0,"events":[${body}]}`);
    });
  }, 60_000);
});
