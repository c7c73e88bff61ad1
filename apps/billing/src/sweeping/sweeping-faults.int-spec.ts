import { PostgresHoldStore, RedisPockets, connectHoldRedis, pocketKeys } from '@tollgate/ledger';
import type { UsageEvent } from '@tollgate/contracts';
import { createPool } from '@tollgate/persistence';
import { MasterKey, type RunningProcess } from '@tollgate/runtime';
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
import { Client, type Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { billingConfigSchema } from '../billing.config.js';
import { bootBilling } from '../boot.js';

// Real: Postgres, Redis, and two whole billing processes.

const WAIT_MS = 60_000;
const HOLDS = 40;

let redis: TestRedis;
let database: TestDatabase;
let seeded: SeededInstallation;
let owner: Client;
let app: Pool;
let connection: ReturnType<typeof connectHoldRedis>;
let pockets: RedisPockets;
let billings: RunningProcess[] = [];

async function startBillings(count: number): Promise<void> {
  const config = { PORT: '0', DATABASE_URL: database.appUrl, REDIS_URL: redis.url, LOG_LEVEL: 'silent' };
  billings = await Promise.all(
    Array.from({ length: count }, () => bootBilling(billingConfigSchema.parse(config))),
  );
}

async function stopBillings(): Promise<void> {
  for (const billing of billings) await billing.app.close();
  billings = [];
}

/** Holds in Redis of requests that delivered something, each for a second. */
async function shortPocketHolds(events: readonly UsageEvent[]): Promise<void> {
  const { accountId } = seeded;
  for (const event of events) {
    const { requestId } = event;
    const ask = { requestId, accountId, totalNano: 10_000n, leastNano: 10_000n, ttlSeconds: 1 };
    const held = await pockets.hold({ ...ask, freshEscrowId: uuidv7() });
    if (held.outcome === 'short') {
      const { rows } = await owner.query('SELECT granted FROM tollgate.grant_escrow($1, $2, 5000000)', [
        accountId,
        held.escrowId,
      ]);
      const grantedNano = BigInt(rows[0].granted);
      await pockets.grant(accountId, held.escrowId, { grantedNano, availableNano: 0n });
      expect(await pockets.hold({ ...ask, freshEscrowId: uuidv7() })).toMatchObject({ outcome: 'held' });
    }
  }
  await pockets.touch(
    events.map((event) => ({
      requestId: event.requestId,
      accountId,
      checkpoint: { ...event, swept: true as const },
    })),
    1,
  );
}

/** The same in Postgres. */
async function overdueHolds(events: readonly UsageEvent[]): Promise<void> {
  const store = new PostgresHoldStore(app);
  const { accountId } = seeded;
  await Promise.all(events.map(({ requestId }) => store.hold({ requestId, accountId, totalNano: 10_000n })));
  await store.touch(
    events.map((event) => ({
      requestId: event.requestId,
      accountId,
      checkpoint: { ...event, swept: true as const },
    })),
  );
  await store.shutdown();
  await owner.query(
    `UPDATE tollgate.reservation SET deadline_at = now() - interval '1 s' WHERE kind = 'request' AND state = 'open'`,
  );
}

const someEvents = (): UsageEvent[] => Array.from({ length: HOLDS }, () => usageEventOf(seeded));

async function expectSweptOnce(events: readonly UsageEvent[]): Promise<void> {
  await eventually(async () => {
    const { rows } = await owner.query(
      `SELECT count(*)::int AS swept, COALESCE(sum(amount), 0)::int AS amount FROM tollgate.transfer
        WHERE kind = 'swept' AND ref_id = ANY ($1::uuid[])`,
      [events.map(({ requestId }) => requestId)],
    );
    expect(rows[0]).toEqual({ swept: events.length, amount: 7_500 * events.length });
  }, WAIT_MS);
}

async function expectNothingInRedis(): Promise<void> {
  const { holds } = pocketKeys(seeded.accountId);
  await eventually(async () => expect(await connection.hlen(holds)).toBe(0), WAIT_MS);
}

describeWithRedis('billing, sweeping when things break', () => {
  beforeAll(async () => {
    redis = await startRedis();
    database = await createTestDatabase();
    seeded = await seedInstallation({
      ownerUrl: database.ownerUrl,
      masterKey: MasterKey.generate(),
      upstreams: ['http://127.0.0.1:9/v1'],
    });
    owner = new Client({ connectionString: database.ownerUrl });
    await owner.connect();
    app = createPool({ url: database.appUrl, max: 4, name: 'sweeping-spec' });
    connection = connectHoldRedis(redis.url);
    connection.on('error', () => undefined);
    await new Promise((resolve) => connection.once('ready', resolve));
    pockets = new RedisPockets(connection);
  });

  afterEach(async () => {
    await stopBillings();
    const { rows } = await owner.query('SELECT * FROM tollgate.ledger_violation');
    expect(rows).toEqual([]);
  });

  afterAll(async () => {
    connection.disconnect();
    await Promise.all([owner.end(), app.end()]);
    await database.drop();
    await redis.remove();
  });

  it('two billing processes sweep at once: each request is charged once, and no hold is left', async () => {
    const [inRedis, inPostgres] = [someEvents(), someEvents()];
    await shortPocketHolds(inRedis);
    await overdueHolds(inPostgres);
    await startBillings(2);
    await Promise.all([expectSweptOnce(inRedis), expectSweptOnce(inPostgres)]);
    await expectNothingInRedis();
    const { rows } = await owner.query(
      `SELECT count(*)::int AS open FROM tollgate.reservation WHERE kind = 'request' AND state <> 'closed'`,
    );
    expect(rows[0]).toEqual({ open: 0 });
  });

  it('Redis away during a sweep: holds in Postgres are swept meanwhile, those in Redis once it is back', async () => {
    const [inRedis, inPostgres] = [someEvents(), someEvents()];
    await startBillings(1);
    await shortPocketHolds(inRedis);
    // What everysec may lose of the last second is not what this is about.
    await connection.config('SET', 'appendfsync', 'always');
    await shortPocketHolds([]);
    await overdueHolds(inPostgres);
    await redis.stop('SIGKILL');
    await redis.start();
    await Promise.all([expectSweptOnce(inRedis), expectSweptOnce(inPostgres)]);
    await expectNothingInRedis();
  });

  it('a Redis that hangs holds up no sweep in Postgres', async () => {
    const inPostgres = someEvents();
    await startBillings(1);
    redis.signal('SIGSTOP');
    try {
      await overdueHolds(inPostgres);
    } finally {
      redis.signal('SIGCONT');
    }
    await expectSweptOnce(inPostgres);
  });
});
