import { eventually } from '@tollgate/testing';
import { GatewayBench } from './gateway.spec-kit.js';

// Real: Postgres, the gateway, its upstream. Each setting is changed under the running gateway.

const bench = new GatewayBench();

beforeAll(() => bench.start());

afterAll(() => bench.stop());

/** Sets columns of the one row, as the admin process does. */
async function set(columns: string): Promise<void> {
  await bench.owner.query(`UPDATE tollgate.setting SET ${columns}`);
}

async function read(path: string, key = bench.seeded.apiKey): Promise<any> {
  const response = await fetch(`${bench.baseUrl}/v1/${path}`, {
    headers: { authorization: `Bearer ${key}` },
  });
  expect(response.status).toBe(200);
  return response.json();
}

describe('settings take effect while the gateway runs', () => {
  it('emptyCompletions: whether an answer that says nothing costs its input', async () => {
    await bench.upstream.behave({ chunks: 0, promptTokens: 13 });
    expect(await bench.eventOf(await bench.post(bench.chat()))).toMatchObject({
      billable: false,
      costNano: '0',
    });
    await set(`empty_completions = 'charged'`);
    await eventually(async () => {
      const event = await bench.eventOf(await bench.post(bench.chat()));
      // 13 × 0.15 credits per million units.
      expect(event).toMatchObject({ outcome: 'completed', billable: true, costNano: '1950' });
    });
  });

  it('noCreditStatus: the status of a request that the balance does not cover', async () => {
    const poor = await bench.seed({ balanceNano: 1n, upstreams: [bench.upstream.baseUrl] });
    const ask = () => bench.post({ ...bench.chat(), model: poor.model }, { key: poor.apiKey });
    const refusal = async () => {
      const response = await ask();
      const { error }: any = await response.json();
      return { status: response.status, code: error.code, retry: response.headers.get('x-should-retry') };
    };
    await eventually(async () =>
      expect(await refusal()).toEqual({ status: 429, code: 'insufficient_quota', retry: 'false' }),
    );
    await set('no_credit_status = 402');
    await eventually(async () =>
      expect(await refusal()).toEqual({ status: 402, code: 'insufficient_quota', retry: 'false' }),
    );
  });

  it('points: what a key has, in the operator’s own unit, rounded down', async () => {
    const { apiKey } = await bench.seed({ balanceNano: 2_000_000_000n });
    expect((await read('key', apiKey)).points).toEqual({
      label: 'points',
      credits_per_point: '1',
      available: '2',
      charged: '0',
    });
    await set(`points_label = 'gems', nano_per_point = 3000000`);
    await eventually(async () =>
      expect((await read('key', apiKey)).points).toEqual({
        label: 'gems',
        credits_per_point: '0.003',
        available: '666.666666666',
        charged: '0',
      }),
    );
  });

  it('dashboardMode: what the old billing pages show', async () => {
    const { apiKey, accountId } = await bench.seed({ balanceNano: 30_000_000_000n });
    // Credits that left otherwise than by usage of this month show in the lifetime alone.
    await bench.owner.query(
      `SELECT tollgate.adjust('adjustment', gen_random_uuid(), $1, -10000000000, NULL, NULL)`,
      [accountId],
    );
    const limit = async () => (await read('dashboard/billing/subscription', apiKey)).hard_limit_usd;
    expect(await limit()).toBe(20);
    const byMonth = await read('dashboard/billing/usage?start_date=2026-01-01&end_date=2026-01-01', apiKey);
    expect(byMonth.total_usage).toBe(0);
    await set(`dashboard_mode = 'lifetime'`);
    await eventually(async () => {
      const { total_granted: granted } = await read('dashboard/billing/credit_grants', apiKey);
      expect(await limit()).toBe(granted);
    });
  });
});
