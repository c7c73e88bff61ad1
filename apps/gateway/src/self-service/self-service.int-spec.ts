import { randomUUID } from 'node:crypto';
import { requestIdToWire, type UsageEvent } from '@tollgate/contracts';
import { PostgresHoldStore, adjust, poolSql, settleBatch } from '@tollgate/ledger';
import { createPool } from '@tollgate/persistence';
import { MasterKey, type RunningProcess } from '@tollgate/runtime';
import {
  createTestDatabase,
  seedInstallation,
  type SeededInstallation,
  type TestDatabase,
} from '@tollgate/testing';
import type { Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { bootGateway } from '../boot.js';
import { gatewayConfigSchema } from '../gateway.config.js';
import { BillingDashboard } from './billing-dashboard.js';
import { LedgerReads } from './ledger-reads.js';

// Real: Postgres, the gateway on a socket. The ledger is filled by the functions that fill it in service.

const CREDIT = 1_000_000_000n;
const DAY_MS = 86_400_000;
const masterKey = MasterKey.generate();

let database: TestDatabase;
let gateway: RunningProcess;
let baseUrl: string;
let owner: Pool;
let app: Pool;
let ada: SeededInstallation;
/** Another key of the same account. */
let adasOther: SeededInstallation;
let bob: SeededInstallation;

beforeAll(async () => {
  database = await createTestDatabase();
  owner = createPool({ url: database.ownerUrl, max: 2, name: 'spec-owner' });
  app = createPool({ url: database.appUrl, max: 2, name: 'spec' });
  // A deployment makes the model sellable; nothing here calls it.
  ada = await seed({ balanceNano: 20n * CREDIT, upstreams: ['http://127.0.0.1:9/v1'] });
  bob = await seed({ balanceNano: 5n * CREDIT });
  adasOther = { ...ada, ...(await addKey(ada.accountId)) };
  const config = { PORT: '0', DATABASE_URL: database.appUrl, MASTER_KEY: masterKey, LOG_LEVEL: 'silent' };
  gateway = await bootGateway(gatewayConfigSchema.parse(config));
  baseUrl = await (gateway.app as unknown as { getUrl(): Promise<string> }).getUrl();
});

afterAll(async () => {
  await gateway?.app.close();
  await Promise.all([owner?.end(), app?.end()]);
  await database?.drop();
});

function seed(options: Partial<Parameters<typeof seedInstallation>[0]>): Promise<SeededInstallation> {
  return seedInstallation({ ownerUrl: database.ownerUrl, masterKey, upstreams: [], ...options });
}

async function addKey(accountId: string, columns: { expiresAt?: Date; allowedModels?: string[] } = {}) {
  const apiKeyId = uuidv7();
  const apiKey = `sk-${randomUUID()}`;
  await owner.query(
    `INSERT INTO tollgate.api_key (id, account_id, name, prefix, last4, key_hash, expires_at, allowed_models)
     VALUES ($1, $2, 'another', $3, $4, $5, $6, $7)`,
    [
      apiKeyId,
      accountId,
      apiKey.slice(0, 7),
      apiKey.slice(-4),
      MasterKey.parse(masterKey).hashSecret('api-key', apiKey),
      columns.expiresAt ?? null,
      columns.allowedModels ?? null,
    ],
  );
  return { apiKeyId, apiKey };
}

interface Usage {
  readonly of: SeededInstallation;
  readonly costNano: bigint;
  readonly at?: Date;
  readonly model?: string;
}

/** Settles one request, and answers its id. */
async function settle({ of, costNano, at = new Date(), model = of.model }: Usage): Promise<string> {
  const event: UsageEvent = {
    requestId: uuidv7({ msecs: at.getTime() }),
    accountId: of.accountId,
    apiKeyId: of.apiKeyId,
    model,
    upstreamModel: 'canary-upstream-model',
    deploymentId: of.deploymentIds[0] ?? null,
    priceId: of.priceId,
    multiplierPpm: 1_000_000,
    units: { input: 12, cachedInput: 3, output: 34 },
    billable: true,
    costNano: costNano.toString(),
    usageSource: 'provider',
    outcome: 'completed',
    attempts: 2,
    firstByteMs: 120,
    totalMs: 950,
    finishedAt: at.toISOString(),
  };
  const [settlement] = await settleBatch(poolSql(app), [event]);
  expect(settlement?.outcome).toBe('settled');
  return event.requestId;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: any;
}

async function call(
  path: string,
  options: { key?: string | null; method?: string; body?: string } = {},
): Promise<Answer> {
  const { key = ada.apiKey, method = 'GET', body } = options;
  const response = await fetch(`${baseUrl}${path}`, {
    method,
    headers: key === null ? {} : { authorization: `Bearer ${key}` },
    ...(body !== undefined && { body }),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

function expectProblem(
  answer: Answer,
  problem: { status: number; code: string; param?: string | null },
): void {
  const { status, code, param = null } = problem;
  expect(answer.status).toBe(status);
  expect(Object.keys(answer.body.error).sort()).toEqual(['code', 'message', 'param', 'type']);
  expect(answer.body.error).toMatchObject({ type: 'invalid_request_error', code, param });
  expect(answer.headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/);
}

/** An account of its own, so that no other test moves its balance. */
async function fresh(balanceNano: bigint): Promise<SeededInstallation> {
  return { ...(await seed({ balanceNano })), deploymentIds: ada.deploymentIds };
}

describe('GET /v1/key', () => {
  it('shows the key, its balance, its models and its usage of this month', async () => {
    const eve = await fresh(10n * CREDIT);
    const other = { ...eve, ...(await addKey(eve.accountId)) };
    await settle({ of: eve, costNano: CREDIT / 2n });
    await settle({ of: other, costNano: CREDIT });
    await settle({ of: eve, costNano: CREDIT, at: lastMonth() });
    const { status, body } = await call('/v1/key', { key: eve.apiKey });
    expect(status).toBe(200);
    const now = new Date();
    expect(body).toEqual({
      object: 'key',
      id: eve.apiKeyId,
      name: 'test',
      redacted_value: `sk-****${eve.apiKey.slice(-4)}`,
      account: { id: eve.accountId, name: `account ${eve.accountId}` },
      status: 'active',
      balance: { posted: '7.5', held: '0', available: '7.5', floor: '0' },
      allowed_models: null,
      models: [ada.model],
      expires_at: null,
      created_at: expect.stringMatching(/Z$/),
      month_to_date: {
        since: new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1)).toISOString(),
        requests: 1,
        charged: '0.5',
      },
      points: { label: 'points', credits_per_point: '1', available: '7.5', charged: '0.5' },
    });
  });

  it('shows what running requests hold, and what the floor leaves', async () => {
    const eve = await fresh(10n * CREDIT);
    await owner.query('UPDATE tollgate.account SET floor = $2 WHERE id = $1', [
      eve.accountId,
      (-2n * CREDIT).toString(),
    ]);
    const holds = new PostgresHoldStore(app);
    const hold = { requestId: uuidv7(), accountId: eve.accountId, totalNano: 3n * CREDIT };
    expect(await holds.hold(hold)).toMatchObject({ outcome: 'held' });
    const { body } = await call('/v1/key', { key: eve.apiKey });
    expect(body.balance).toEqual({ posted: '10', held: '3', available: '9', floor: '-2' });
    await holds.close(hold.requestId, eve.accountId, 0n);
    await holds.shutdown();
    expect((await call('/v1/key', { key: eve.apiKey })).body.balance.held).toBe('0');
  });

  it('shows the models that are left of a list, and when the key ends', async () => {
    const expiresAt = new Date(Date.now() + DAY_MS);
    const key = await addKey(ada.accountId, { expiresAt, allowedModels: [ada.model, 'not-sold-any-more'] });
    expect((await call('/v1/key', { key: key.apiKey })).body).toMatchObject({
      allowed_models: [ada.model, 'not-sold-any-more'],
      models: [ada.model],
      expires_at: expiresAt.toISOString(),
    });
    const none = await addKey(ada.accountId, { allowedModels: [] });
    expect((await call('/v1/key', { key: none.apiKey })).body).toMatchObject({
      allowed_models: [],
      models: [],
    });
  });

  it('never shows more than seven characters of a key', async () => {
    const text = JSON.stringify((await call('/v1/key')).body);
    expect(text).not.toContain(ada.apiKey.slice(0, 4));
    expect(text).not.toContain(ada.apiKey.slice(-5));
  });
});

describe('GET /v1/usage', () => {
  let eve: SeededInstallation;
  let ids: string[];
  const noonMs = Math.floor(Date.now() / DAY_MS) * DAY_MS - DAY_MS / 2;
  const minute = (count: number) => new Date(noonMs + count * 60_000);

  beforeAll(async () => {
    eve = await fresh(10n * CREDIT);
    ids = [];
    for (const [index, model] of ['old', 'new', 'new', 'new'].entries()) {
      ids.push(await settle({ of: eve, costNano: 5n, at: minute(index), model }));
    }
    await settle({ of: { ...eve, ...(await addKey(eve.accountId)) }, costNano: 7n, at: minute(9) });
    await settle({ of: bob, costNano: 7n, at: minute(9) });
  });

  const wire = (index: number) => requestIdToWire(ids[index] ?? '');
  const list = async (query: string) => (await call(`/v1/usage?${query}`, { key: eve.apiKey })).body;
  const listed = async (query: string) => (await list(query)).data.map((row: any) => row.request_id);

  it('lists the key’s own requests, newest first, with nothing of where they were served', async () => {
    const body = await list('');
    expect(body).toMatchObject({ object: 'list', has_more: false, next_cursor: null });
    expect(body.data.map((row: any) => row.request_id)).toEqual([3, 2, 1, 0].map(wire));
    expect(body.data[3]).toEqual({
      object: 'generation',
      request_id: wire(0),
      model: 'old',
      units: { input: 12, cached_input: 3, output: 34 },
      cost: '0.000000005',
      charged: '0.000000005',
      usage_source: 'provider',
      outcome: 'completed',
      attempts: 2,
      timings: { first_byte_ms: 120, total_ms: 950 },
      created_at: minute(0).toISOString(),
    });
    expect(JSON.stringify(body)).not.toContain('canary');
  });

  it('goes on where a page ended', async () => {
    const first = await list('limit=3');
    expect(first.data).toHaveLength(3);
    expect(first.has_more).toBe(true);
    const second = await list(`limit=3&cursor=${first.next_cursor}`);
    expect(second).toMatchObject({ has_more: false, next_cursor: null });
    expect(second.data.map((row: any) => row.request_id)).toEqual([wire(0)]);
    expect((await list('limit=4')).has_more).toBe(false);
  });

  it('filters by model and time', async () => {
    expect(await listed('model=old')).toEqual([wire(0)]);
    expect(await listed('model=nothing')).toEqual([]);
    expect(await listed(`from=${minute(1).toISOString()}&to=${minute(3).toISOString()}`)).toEqual([
      wire(2),
      wire(1),
    ]);
    expect(await listed('from=2199-01-01')).toEqual([]);
  });

  it('shows nothing of other keys, whatever it is asked', async () => {
    expect((await call('/v1/usage', { key: adasOther.apiKey })).body.data).toEqual([]);
    const cursor = wire(3);
    expect((await call(`/v1/usage?cursor=${cursor}`, { key: adasOther.apiKey })).body.data).toEqual([]);
  });

  it.each([
    ['limit', 'limit=0'],
    ['limit', 'limit=1&limit=2'],
    ['cursor', 'cursor=abc'],
    ['model', 'model=%00'],
    ['from', 'from=2026-13-01'],
    ['to', 'to=99999-01-01T00:00:00Z'],
  ])('names the parameter that does not fit: %s in ?%s', async (param, query) => {
    const answer = await call(`/v1/usage?${query}`);
    expectProblem(answer, { status: 400, code: 'invalid_value', param });
  });

  it('refuses filters that it does not know, the account’s scope too', async () => {
    const answer = await call('/v1/usage?scope=account');
    expectProblem(answer, { status: 400, code: 'unknown_parameter', param: 'scope' });
  });
});

describe('GET /v1/generations/{request_id}', () => {
  it('answers for every form of the id', async () => {
    const id = await settle({ of: ada, costNano: 70n });
    const hex = id.replaceAll('-', '');
    for (const form of [`req_${hex}`, id, id.toUpperCase(), `chatcmpl-${hex}`, `cmpl-${hex}`]) {
      const { status, body } = await call(`/v1/generations/${form}`);
      expect(status).toBe(200);
      expect(body).toMatchObject({ object: 'generation', request_id: `req_${hex}`, cost: '0.00000007' });
    }
  });

  it('answers the same for unknown ids, other keys’, other accounts’, and those not settled yet', async () => {
    const holds = new PostgresHoldStore(app);
    const running = uuidv7();
    await holds.hold({ requestId: running, accountId: ada.accountId, totalNano: 1n });
    const others = await Promise.all([bob, adasOther].map((of) => settle({ of, costNano: 1n })));
    const ids = [...others, running, uuidv7(), randomUUID()].map(requestIdToWire);
    const answers = await Promise.all(
      [...ids, 'chatcmpl-1', '%00', 'req_', 'a%2Fb', "';--", 'x'.repeat(500)].map((id) =>
        call(`/v1/generations/${id}`),
      ),
    );
    for (const answer of answers) expectProblem(answer, { status: 404, code: 'generation_not_found' });
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    await holds.close(running, ada.accountId, 0n);
    await holds.shutdown();
  });
});

/** In the month before, in its middle, so that no day of a test is at a month's edge. */
function lastMonth(): Date {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 1, 15, 12));
}

function dateOf(instant: Date): string {
  return instant.toISOString().slice(0, 10);
}

describe('the billing pages', () => {
  it('show limits whose difference to this month’s usage is what can still be spent', async () => {
    const eve = await fresh(30n * CREDIT);
    const other = { ...eve, ...(await addKey(eve.accountId)) };
    await settle({ of: eve, costNano: 4_970_000_000n });
    await settle({ of: other, costNano: 30_000_000n, model: 'another' });
    await settle({ of: eve, costNano: 2n * CREDIT, at: lastMonth() });
    const { body: subscription } = await call('/v1/dashboard/billing/subscription', { key: eve.apiKey });
    expect(subscription).toMatchObject({
      object: 'billing_subscription',
      has_payment_method: true,
      hard_limit_usd: 28,
      soft_limit_usd: 28,
      system_hard_limit_usd: 28,
      access_until: 0,
      account_name: `account ${eve.accountId}`,
    });
    const { body: usage } = await call('/v1/dashboard/billing/usage', { key: eve.apiKey });
    expect(usage.total_usage).toBe(500);
    const { body: key } = await call('/v1/key', { key: eve.apiKey });
    expect(subscription.hard_limit_usd - usage.total_usage / 100).toBe(Number(key.balance.available));
    const today = usage.daily_costs.filter((day: any) => day.line_items.length > 0);
    expect(today).toEqual([
      {
        timestamp: Math.floor(Date.now() / DAY_MS) * 86_400,
        line_items: [
          { name: 'another', cost: 3 },
          { name: ada.model, cost: 497 },
        ],
      },
    ]);
  });

  it('count the first and the last day in, and show empty days', async () => {
    const eve = await fresh(30n * CREDIT);
    const day = lastMonth();
    for (const offset of [-1, 0, 1]) {
      await settle({ of: eve, costNano: CREDIT, at: new Date(day.getTime() + offset * DAY_MS) });
    }
    const range = `start_date=${dateOf(day)}&end_date=${dateOf(new Date(day.getTime() + 2 * DAY_MS))}`;
    const { body } = await call(`/v1/dashboard/billing/usage?${range}`, { key: eve.apiKey });
    expect(body.daily_costs.map((cost: any) => cost.line_items.length)).toEqual([1, 1, 0]);
    expect(body.total_usage).toBe(200);
  });

  it('leave out what the account could not pay', async () => {
    const eve = await fresh(CREDIT);
    await settle({ of: eve, costNano: 3n * CREDIT });
    const { body } = await call('/v1/dashboard/billing/usage', { key: eve.apiKey });
    expect(body.total_usage).toBe(100);
    const { body: usage } = await call('/v1/usage', { key: eve.apiKey });
    expect(usage.data).toMatchObject([{ cost: '3', charged: '1' }]);
    const { body: credits } = await call('/v1/dashboard/billing/credit_grants', { key: eve.apiKey });
    expect(credits).toMatchObject({ total_granted: 1, total_used: 1, total_available: 0 });
  });

  it('show credits in dollars, less what is held, to GET and to POST', async () => {
    const eve = await fresh(20n * CREDIT);
    const sql = poolSql(app);
    const { accountId } = eve;
    await adjust(sql, { kind: 'grant', refId: uuidv7(), accountId, amountNano: 10n * CREDIT });
    await settle({ of: eve, costNano: 4_970_000_000n });
    const holds = new PostgresHoldStore(app);
    const requestId = uuidv7();
    await holds.hold({ requestId, accountId, totalNano: CREDIT });
    const { body } = await call('/v1/dashboard/billing/credit_grants', { key: eve.apiKey });
    const grant = { object: 'credit_grant', effective_at: expect.any(Number), expires_at: 0 };
    expect(body).toEqual({
      object: 'credit_summary',
      total_granted: 30,
      total_used: 4.97,
      total_available: 24.03,
      grants: {
        object: 'list',
        available_amount: '24.0300',
        data: [
          { ...grant, id: 'grant_02', grant_amount: 10, used_amount: 0 },
          { ...grant, id: 'grant_01', grant_amount: 20, used_amount: 4.97 },
        ],
      },
    });
    const posted = await call('/v1/dashboard/billing/credit_grants', {
      key: eve.apiKey,
      method: 'POST',
      body: '{"whatever": 1}',
    });
    expect(posted.status).toBe(200);
    expect(posted.body).toEqual({ code: 0, msg: 'ok', ...body });
    const keyed = await call('/v1/dashboard/billing/credit_grants', {
      key: null,
      method: 'POST',
      body: JSON.stringify({ api_secret_key: eve.apiKey }),
    });
    expect(keyed.body).toEqual(posted.body);
    await holds.close(requestId, eve.accountId, 0n);
    await holds.shutdown();
  });

  it.each([
    ['start_date', 'start_date=2026-11-02&end_date=2026-11-01'],
    ['end_date', 'start_date=2020-01-01&end_date=2026-11-01'],
    ['start_date', 'start_date=2026-02-30'],
  ])('name the date that does not fit: %s in ?%s', async (param, query) => {
    const answer = await call(`/v1/dashboard/billing/usage?${query}`);
    expectProblem(answer, { status: 400, code: 'invalid_value', param });
  });
});

describe('the billing pages by lifetime', () => {
  it('show limits whose difference to all usage is what can still be spent, whatever days are asked', async () => {
    const eve = await fresh(30n * CREDIT);
    await settle({ of: eve, costNano: CREDIT });
    await settle({ of: eve, costNano: 2n * CREDIT, at: lastMonth() });
    const dashboard = new BillingDashboard(new LedgerReads(app), () => 'lifetime');
    expect(await dashboard.subscription(eve)).toMatchObject({ hard_limit_usd: 30 });
    const day = new Date(Date.UTC(2026, 0, 1));
    const usage = await dashboard.usage(eve, { start_date: day, end_date: day });
    expect(usage).toMatchObject({ total_usage: 300, daily_costs: [{ line_items: [] }] });
  });
});

describe('many at once', () => {
  const paths = [
    'key',
    'usage',
    ...['subscription', 'usage', 'credit_grants'].map((page) => `dashboard/billing/${page}`),
  ];

  it('are all answered, alike', async () => {
    const asked = Array.from({ length: 24 }, () => paths).flat();
    const answers = await Promise.all(asked.map((path) => call(`/v1/${path}`)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(paths.length);
  });
});
