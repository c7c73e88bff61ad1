import { USAGE_JOB, USAGE_JOB_OPTIONS, USAGE_QUEUE, type UsageEvent } from '@tollgate/contracts';
import { PostgresHoldStore } from '@tollgate/ledger';
import { createPool, ensureUsageMonths } from '@tollgate/persistence';
import { MasterKey, connectQueues, type RunningProcess } from '@tollgate/runtime';
import {
  createTestDatabase,
  eventually,
  seedInstallation,
  usageEventOf,
  type SeededInstallation,
  type TestDatabase,
} from '@tollgate/testing';
import { Queue } from 'bullmq';
import { Client, type Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { billingConfigSchema } from './billing.config.js';
import { bootBilling } from './boot.js';

let database: TestDatabase;
let seeded: SeededInstallation;
let billing: RunningProcess;
let queue: Queue;
let pool: Pool;
let owner: Client;

beforeAll(async () => {
  database = await createTestDatabase();
  seeded = await seedInstallation({
    ownerUrl: database.ownerUrl,
    masterKey: MasterKey.generate(),
    upstreams: ['http://127.0.0.1:9/v1'],
  });
  billing = await bootBilling(
    billingConfigSchema.parse({ PORT: '0', DATABASE_URL: database.appUrl, LOG_LEVEL: 'silent' }),
  );
  const connection = connectQueues({ databaseUrl: database.appUrl, use: 'add', connectionsMax: 2 });
  queue = new Queue(USAGE_QUEUE, { connection, defaultJobOptions: USAGE_JOB_OPTIONS });
  pool = createPool({ url: database.appUrl, max: 4, name: 'test' });
  owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
});

afterAll(async () => {
  await billing?.app.close();
  await Promise.all([queue?.close(), pool?.end(), owner?.end()]);
  await database?.drop();
});

function event(overrides: Partial<UsageEvent> = {}): UsageEvent {
  return usageEventOf(seeded, overrides);
}

function add(events: readonly unknown[], version: unknown = 1): Promise<unknown> {
  return queue.add(USAGE_JOB, { version, events }, { jobId: `u-${uuidv7()}` });
}

async function debitOf(requestId: string): Promise<string | null> {
  const { rows } = await owner.query(
    "SELECT amount::text FROM tollgate.transfer WHERE ref_id = $1 AND kind = 'usage'",
    [requestId],
  );
  return rows[0]?.amount ?? null;
}

async function quarantined(requestId: string): Promise<string | null> {
  const { rows } = await owner.query('SELECT reason FROM tollgate.quarantine WHERE request_id = $1', [
    requestId,
  ]);
  return rows[0]?.reason ?? null;
}

describe('billing', () => {
  it('debits what the gateway metered, and forgets the job', async () => {
    const one = event();
    await add([one, event()]);
    await eventually(async () => expect(await debitOf(one.requestId)).toBe('7500'));
    await eventually(async () =>
      expect(await queue.getJobCounts('waiting', 'active', 'completed', 'failed')).toEqual({
        waiting: 0,
        active: 0,
        completed: 0,
        failed: 0,
      }),
    );
  });

  it('debits an event once that comes twice, in the same job and in another', async () => {
    const one = event();
    await add([one, one]);
    await add([one]);
    const last = event();
    await add([last]);
    await eventually(async () => expect(await debitOf(last.requestId)).toBe('7500'));
    const { rows } = await owner.query('SELECT count(*)::int AS n FROM tollgate.transfer WHERE ref_id = $1', [
      one.requestId,
    ]);
    expect(rows[0]).toEqual({ n: 1 });
    expect(await quarantined(one.requestId)).toBeNull();
  });

  it.each([
    ['another cost than its price and units make', { costNano: '7499' }, 'cost_mismatch'],
    ['a cost although it is free', { billable: false }, 'cost_mismatch'],
    ['a price that does not exist', { priceId: uuidv7() }, 'unknown_price'],
    ['an account that does not exist', { accountId: uuidv7() }, 'unknown_account'],
    ['a field that cannot be', { outcome: 'lost' as never }, /malformed/],
  ])(
    'sets an event aside that has %s, and settles the others of its job',
    async (_what, overrides, reason) => {
      const bad = event(overrides);
      const good = event();
      await add([bad, good]);
      await eventually(async () => expect(await debitOf(good.requestId)).toBe('7500'));
      expect(await quarantined(bad.requestId)).toEqual(
        typeof reason === 'string' ? reason : expect.stringMatching(reason),
      );
      expect(await debitOf(bad.requestId)).toBeNull();
    },
  );

  it('never acknowledges a job of a contract version that it does not know', async () => {
    const later = event();
    await add([later], 3);
    await eventually(async () => {
      const [job] = await queue.getJobs(['delayed']);
      expect(job?.attemptsMade).toBeGreaterThan(0);
      expect(job?.data).toMatchObject({ version: 3 });
    });
    expect(await debitOf(later.requestId)).toBeNull();
    expect(await quarantined(later.requestId)).toBeNull();
  });

  it('frees the holds that nobody renewed', async () => {
    const store = new PostgresHoldStore(pool);
    const requestId = uuidv7();
    const { accountId } = seeded;
    expect(await store.hold({ requestId, accountId, totalNano: 1_000n })).toMatchObject({ outcome: 'held' });
    await owner.query(
      "UPDATE tollgate.reservation SET deadline_at = now() - interval '1 second' WHERE id = $1",
      [requestId],
    );
    await eventually(async () => {
      const { rows } = await owner.query('SELECT held::text FROM tollgate.account WHERE id = $1', [
        accountId,
      ]);
      expect(rows[0]).toEqual({ held: '0' });
    });
    await store.shutdown();
  });

  it('may make the months of usage, as the role that it has', async () => {
    expect(await ensureUsageMonths(pool, 5)).toBe(2);
    expect(await ensureUsageMonths(pool, 5)).toBe(0);
  });

  it('leaves a ledger in which nothing is wrong', async () => {
    const { rows } = await owner.query('SELECT * FROM tollgate.ledger_violation');
    expect(rows).toEqual([]);
  });
});
