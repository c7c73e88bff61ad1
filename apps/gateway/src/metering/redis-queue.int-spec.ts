import { USAGE_JOB_OPTIONS, USAGE_QUEUE, type UsageEvent, type UsageJob } from '@tollgate/contracts';
import { Health, ProcessMetrics, connectQueues, createLogger } from '@tollgate/runtime';
import { describeWithRedis, eventually, startRedis, usageEventOf, type TestRedis } from '@tollgate/testing';
import { Queue } from 'bullmq';
import { v7 as uuidv7 } from 'uuid';
import { GatewayMetrics } from '../telemetry/gateway-metrics.js';
import { UsagePublisher } from './usage-publisher.js';

let redis: TestRedis;
let queue: Queue<UsageJob>;
let direct: UsageEvent[];
let accepted: UsageEvent[];
let publisher: UsagePublisher;

function event(): UsageEvent {
  const apiKeyId = uuidv7();
  return usageEventOf({
    accountId: uuidv7(),
    apiKeyId,
    apiKey: 'sk-test',
    model: 'fake-chat',
    priceId: uuidv7(),
    deploymentIds: [],
  });
}

async function queued(): Promise<string[]> {
  const jobs = await queue.getJobs(['waiting']);
  return jobs.flatMap(({ data }) => data.events.map(({ requestId }) => requestId));
}

async function startPublisher(): Promise<void> {
  redis = await startRedis();
  const connection = connectQueues({
    databaseUrl: '',
    redisUrl: redis.url,
    use: 'add',
    connectionsMax: 2,
  });
  queue = new Queue<UsageJob>(USAGE_QUEUE, { connection, defaultJobOptions: USAGE_JOB_OPTIONS });
  queue.on('error', () => undefined);
  await queue.waitUntilReady();
  direct = [];
  accepted = [];
  publisher = new UsagePublisher({
    queue,
    logger: createLogger('test', 'silent'),
    counts: new GatewayMetrics(new ProcessMetrics('gateway', new Health())).events,
    journal: null,
    settleDirectly: async (events) => {
      direct.push(...events);
    },
    onAccepted: async (events) => {
      accepted.push(...events);
    },
  });
}

describeWithRedis('UsagePublisher with its queue on Redis', () => {
  beforeEach(startPublisher);

  afterEach(async () => {
    await queue.close().catch(() => undefined);
    await redis.remove();
  });

  it('brings events to Redis', async () => {
    const events = [event(), event()];
    for (const each of events) publisher.publish(each);
    await publisher.flush();
    expect(accepted).toEqual(events);
    expect(direct).toEqual([]);
    expect((await queued()).sort()).toEqual(events.map(({ requestId }) => requestId).sort());
  });

  it('settles directly at once while Redis is away, and goes back to the queue by itself', async () => {
    await redis.stop('SIGKILL');
    const away = event();
    publisher.publish(away);
    await publisher.flush();
    expect(direct).toEqual([away]);
    expect(accepted).toEqual([away]);

    await redis.start();
    await eventually(async () => {
      const back = event();
      publisher.publish(back);
      await publisher.flush();
      expect(direct).not.toContain(back);
      expect(await queued()).toContain(back.requestId);
    });
    // What was settled directly was not sent again behind the publisher's back.
    expect(await queued()).not.toContain(away.requestId);
  });

  it('settles directly after a second when Redis hangs', async () => {
    const { signal } = redis;
    signal('SIGSTOP');
    const hanging = event();
    const startedMs = Date.now();
    publisher.publish(hanging);
    await publisher.flush();
    const tookMs = Date.now() - startedMs;
    signal('SIGCONT');
    expect(direct).toEqual([hanging]);
    expect(tookMs).toBeGreaterThanOrEqual(1_000);
  });
});
