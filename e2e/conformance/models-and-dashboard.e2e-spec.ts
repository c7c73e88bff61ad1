import { eventually } from '@tollgate/testing';
import { ConformanceBench, MODEL, chatBody } from './conformance-bench.js';

const SLASHED = 'openrouter/meta/llama-3:free';
const TUNED = 'ft:gpt-4o:acme::abc123';

let bench: ConformanceBench;

beforeAll(async () => {
  bench = await ConformanceBench.start();
  await bench.sell(SLASHED);
  await bench.sell(TUNED);
  await bench.admin.offerModel('unpriced');
  await bench.untilSold(SLASHED);
  await bench.untilSold(TUNED);
});

afterEach(() => bench.audit());
afterAll(() => bench?.close());

async function ids(key?: string): Promise<string[]> {
  const { json } = await bench.get('/v1/models', key === undefined ? {} : { key });
  return json.data.map(({ id }: any) => id);
}

describe('models', () => {
  it('C-040 lists objects that OpenAI, relay services and Anthropic clients can read', async () => {
    const { json } = await bench.get('/v1/models');
    expect(json).toMatchObject({ object: 'list', has_more: false });
    expect(json.first_id).toBe(json.data[0].id);
    expect(json.last_id).toBe(json.data.at(-1).id);
    expect(json.data.find(({ id }: any) => id === MODEL)).toEqual({
      id: MODEL,
      object: 'model',
      created: expect.any(Number),
      owned_by: expect.any(String),
      shutdown_date: null,
      root: MODEL,
      parent: null,
      permission: [],
      type: 'model',
      display_name: expect.any(String),
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    });
    for (const { id } of json.data) expect(typeof id).toBe('string');
  });

  it('C-041 lists and reads only what the key may use', async () => {
    const one = await bench.openKey({ allowedModels: [TUNED] });
    expect(await ids(one.key)).toEqual([TUNED]);
    expect((await bench.get(`/v1/models/${MODEL}`, { key: one.key })).json.error.code).toBe(
      'model_not_found',
    );
    const none = await bench.openKey({ allowedModels: [] });
    expect((await bench.get('/v1/models', { key: none.key })).json).toMatchObject({
      data: [],
      has_more: false,
      first_id: null,
      last_id: null,
    });
  });

  it.each([SLASHED, TUNED])('C-042 reads the model %s', async (id) => {
    expect((await bench.get(`/v1/models/${id}`)).json).toMatchObject({ id, object: 'model' });
    expect((await bench.get(`/v1/models/${encodeURIComponent(id)}`)).json).toMatchObject({ id });
  });

  it('C-043 knows no model without a price in force', async () => {
    expect(await ids()).not.toContain('unpriced');
    expect((await bench.get('/v1/models/unpriced')).status).toBe(404);
    const { status, json } = await bench.chat({ model: 'unpriced' });
    expect(json.error.code).toBe('model_not_found');
    expect(status).toBe(404);
  });

  it('C-044 answers 404 model_not_found for a model that is not there', async () => {
    const { status, json } = await bench.get('/v1/models/no-such-model');
    expect(json.error).toEqual({
      message: 'The model `no-such-model` does not exist or you do not have access to it.',
      type: 'invalid_request_error',
      param: null,
      code: 'model_not_found',
    });
    expect(status).toBe(404);
  });

  it('C-045 takes the parameters of discovery', async () => {
    expect((await bench.get('/v1/models?limit=1000')).json.data.length).toBeGreaterThan(2);
  });

  it('C-046 asks no upstream and books nothing', async () => {
    const { requestId } = await bench.get('/v1/models');
    expect(bench.upstream.calls).toEqual([]);
    const { rows } = await bench.database.query('SELECT 1 FROM tollgate.usage_record WHERE request_id = $1', [
      requestId,
    ]);
    expect(rows).toEqual([]);
  });

  it('C-047 lists and reads legacy engines', async () => {
    const { json } = await bench.get('/v1/engines');
    expect(json.object).toBe('list');
    expect(json.data.map(({ id }: any) => id)).toContain(MODEL);
    expect((await bench.get(`/v1/engines/${MODEL}`)).json).toMatchObject({ id: MODEL, object: 'engine' });
    expect((await bench.get('/v1/engines/nothing')).status).toBe(404);
  });

  it('C-048 sells a new model, and forgets a revoked key, within a second', async () => {
    await bench.sell('brand-new');
    await eventually(async () => expect(await ids()).toContain('brand-new'), 1_000, 50);
    const { id, key } = await bench.openKey({});
    expect((await bench.chat({}, { key })).status).toBe(200);
    await bench.admin.delete(`/api-keys/${id}`);
    await eventually(async () => expect((await bench.chat({}, { key })).status).toBe(401), 1_000, 50);
  });
});

const NAMES = ['subscription', 'usage', 'credit_grants'];
const today = new Date().toISOString().slice(0, 10);
const month = today.slice(0, 7);

describe('dashboard', () => {
  it.each(
    ['/dashboard', '/v1/dashboard', '/v1/v1/dashboard', '/index.php/api/v1/dashboard'].flatMap((prefix) =>
      NAMES.map((name) => [`${prefix}/billing/${name}`] as const),
    ),
  )('C-230 answers %s', async (path) => {
    expect((await bench.get(path)).status).toBe(200);
  });

  it('C-231 tells the subscription in dollars: what is available and what the month cost', async () => {
    const { available, spent } = await spend();
    const { json } = await bench.get('/v1/dashboard/billing/subscription');
    expect(json).toMatchObject({
      object: 'billing_subscription',
      has_payment_method: true,
      access_until: 0,
      canceled: false,
    });
    for (const name of ['soft_limit_usd', 'hard_limit_usd', 'system_hard_limit_usd']) {
      expect(json[name]).toBeCloseTo(available + spent, 6);
    }
  });

  it('C-232 tells the usage in cents, with an entry for each day', async () => {
    const { spent } = await spend();
    const { json } = await bench.get(
      `/v1/dashboard/billing/usage?start_date=${month}-01&end_date=${month}-28`,
    );
    expect(json.object).toBe('list');
    expect(json.daily_costs).toHaveLength(28);
    expect(json.daily_costs[0].timestamp).toBe(Date.parse(`${month}-01T00:00:00Z`) / 1_000);
    expect(json.total_usage).toBeCloseTo(spent * 100, 6);
    const day = json.daily_costs.find(({ line_items }: any) => line_items.length > 0);
    expect(day.line_items).toEqual([{ name: MODEL, cost: json.total_usage }]);
  });

  it('C-233 counts the last day in, and takes the month where no dates are given', async () => {
    const { spent } = await spend();
    const one = await bench.get(`/v1/dashboard/billing/usage?start_date=${today}&end_date=${today}`);
    expect(one.json.daily_costs).toHaveLength(1);
    expect(one.json.total_usage).toBeCloseTo(spent * 100, 6);
    const all = await bench.get('/v1/dashboard/billing/usage');
    expect(all.json.daily_costs.length).toBeGreaterThanOrEqual(Number(today.slice(8)));
    expect(all.json.total_usage).toBeCloseTo(spent * 100, 6);
  });

  it('C-234 refuses dates in the wrong order, takes 400 days', async () => {
    const wrong = await bench.get('/v1/dashboard/billing/usage?start_date=2026-02-02&end_date=2026-02-01');
    expect(wrong.status).toBe(400);
    const long = await bench.get('/v1/dashboard/billing/usage?start_date=2025-01-01&end_date=2026-02-04');
    expect(long.json.daily_costs).toHaveLength(400);
  });

  it('C-235 tells what was granted, used and is available in dollars', async () => {
    const { available, spent } = await spend();
    const { json } = await bench.get('/v1/dashboard/billing/credit_grants');
    expect(json).toMatchObject({ object: 'credit_summary', grants: { object: 'list' } });
    expect(json.total_granted).toBeCloseTo(available + spent, 6);
    expect(json.total_used).toBeCloseTo(spent, 6);
    expect(json.total_available).toBeCloseTo(available, 6);
    expect(Number(json.grants.available_amount)).toBeCloseTo(available, 3);
    expect(json.grants.data[0]).toMatchObject({ object: 'credit_grant' });
  });

  it('C-236 takes POST for the grants, with the key in the body, and adds code and msg', async () => {
    for (const ask of [
      { json: { api_secret_key: bench.key } },
      {
        headers: [['Content-Type', 'application/x-www-form-urlencoded']] as const,
        body: `api_secret_key=${bench.key}`,
      },
    ]) {
      const answer = await bench.ask({ path: '/v1/dashboard/billing/credit_grants', key: null, ...ask });
      expect(answer.json).toMatchObject({
        code: 0,
        msg: 'ok',
        object: 'credit_summary',
        grants: { available_amount: expect.stringMatching(/^\d+\.\d+$/) },
      });
    }
  });

  it.each(NAMES)('C-237 refuses a bad key with a real status and the envelope: %s', async (name) => {
    const { status, json } = await bench.get(`/dashboard/billing/${name}`, { key: 'sk-wrong' });
    expect(json.error.code).toBe('invalid_api_key');
    expect(status).toBe(401);
  });

  it('C-238 shows numbers whose difference is what can still be spent', async () => {
    const { available } = await spend();
    const subscription = await bench.get('/dashboard/billing/subscription');
    const usage = await bench.get(`/dashboard/billing/usage?start_date=${month}-01&end_date=${today}`);
    expect(subscription.json.hard_limit_usd - usage.json.total_usage / 100).toBeCloseTo(available, 6);
  });
});

/** Makes sure that something was spent; answers what is left and what it was, in credits. */
async function spend(): Promise<{ available: number; spent: number }> {
  const { requestId } = await bench.ask({ json: chatBody() });
  await bench.usageOf(requestId);
  return eventually(async () => {
    const { available, held, posted } = await bench.admin.balance(bench.accountId);
    expect(held).toBe('0');
    return { available: Number(available), spent: 100 - Number(posted) };
  }, 30_000);
}
