import { USAGE_JOB, USAGE_JOB_OPTIONS, USAGE_QUEUE, type UsageEvent } from '@tollgate/contracts';
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
import { Client } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { billingConfigSchema } from '../billing.config.js';
import { bootBilling } from '../boot.js';

// Real: Postgres with the queue in it, and the whole billing process.

let database: TestDatabase;
let seeded: SeededInstallation;
let billing: RunningProcess;
let queue: Queue;
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
  owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
});

afterAll(async () => {
  await billing?.app.close();
  const { rows } = await owner.query('SELECT * FROM tollgate.ledger_violation');
  expect(rows).toEqual([]);
  await Promise.all([queue?.close(), owner?.end()]);
  await database?.drop();
});

async function settledOf(ids: readonly string[]): Promise<number> {
  const { rows } = await owner.query(
    `SELECT count(*)::int AS n FROM tollgate.transfer WHERE kind = 'usage' AND ref_id = ANY ($1::uuid[])`,
    [ids],
  );
  return rows[0].n;
}

async function quarantinedCount(): Promise<number> {
  const { rows } = await owner.query('SELECT count(*)::int AS n FROM tollgate.quarantine');
  return rows[0].n;
}

/** A UUIDv7 of that moment. */
const idOf = (moment: string): string => uuidv7({ msecs: Date.parse(moment) });
const free: Partial<UsageEvent> = { billable: false, costNano: '0' };
const inAYear = new Date(Date.now() + 370 * 86_400_000).toISOString();

describe('one bad event of two hundred: 199 settled, one in quarantine, the job is done', () => {
  it.each<[string, (good: UsageEvent) => unknown]>([
    ['a field of a wrong type', (good) => ({ ...good, totalMs: 'soon' })],
    ['a member that is missing', ({ accountId: _accountId, ...good }) => good],
    ['a number beyond its column', (good) => ({ ...good, totalMs: 2 ** 40 })],
    ['more tokens than there can be', (good) => ({ ...good, units: { input: 10, output: 2 ** 52 } })],
    ['a cost beyond all balances', (good) => ({ ...good, costNano: '9000000000000001' })],
    ['a cost that its units do not make', (good) => ({ ...good, costNano: '7499' })],
    ['an account that does not exist', (good) => ({ ...good, accountId: uuidv7() })],
    ['a price that does not exist', (good) => ({ ...good, priceId: uuidv7() })],
    ['an id of a dropped month', (good) => ({ ...good, ...free, requestId: idOf('2019-03-01T00:00:00Z') })],
    ['an id of next year', (good) => ({ ...good, ...free, requestId: idOf(inAYear) })],
    ['what is no object', () => 'event'],
  ])('%s', async (_what, spoil) => {
    const before = await quarantinedCount();
    const events = Array.from({ length: 200 }, () => usageEventOf(seeded));
    const [spoiled, ...good] = events;
    if (spoiled === undefined) throw new Error('there is a first event');
    const body = [...good.slice(0, 99), spoil(spoiled), ...good.slice(99)];
    await queue.add(USAGE_JOB, { version: 1, events: body }, { jobId: `u-${uuidv7()}` });
    const ids = good.map(({ requestId }) => requestId);
    await eventually(async () => expect(await settledOf(ids)).toBe(199));
    await eventually(async () =>
      expect(await queue.getJobCountByTypes('waiting', 'active', 'delayed', 'failed')).toBe(0),
    );
    expect(await quarantinedCount()).toBe(before + 1);
    expect(await settledOf([spoiled.requestId])).toBe(0);
  });

  it('the same request twice with other content: the first is settled', async () => {
    const before = await quarantinedCount();
    const events = Array.from({ length: 199 }, () => usageEventOf(seeded));
    const [first] = events;
    const other = { ...first, units: { input: 20, output: 20 }, costNano: '15000' };
    await queue.add(USAGE_JOB, { version: 1, events: [...events, other] }, { jobId: `u-${uuidv7()}` });
    const ids = events.map(({ requestId }) => requestId);
    await eventually(async () => expect(await settledOf(ids)).toBe(199));
    await eventually(async () => expect(await quarantinedCount()).toBe(before + 1));
    const { rows } = await owner.query(
      `SELECT amount::text FROM tollgate.transfer WHERE kind = 'usage' AND ref_id = $1`,
      [first?.requestId],
    );
    expect(rows).toEqual([{ amount: '7500' }]);
  });
});
