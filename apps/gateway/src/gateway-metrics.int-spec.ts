import { eventually } from '@tollgate/testing';
import { GatewayBench, SECRET, errorOf } from './gateway.spec-kit.js';

const bench = new GatewayBench();

beforeAll(() => bench.start());
afterAll(() => bench.stop());

function scrape(headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${bench.baseUrl}/metrics`, { headers });
}

/** The values of all series of a metric, by their labels as text. */
async function seriesOf(name: string): Promise<Record<string, number>> {
  const text = await (await scrape()).text();
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(name.length, at), Number(line.slice(at + 1))];
    }),
  );
}

/** Waits until a metric has this series with this value. */
async function expectSeries(name: string, labels: string, value: unknown): Promise<void> {
  await eventually(async () => expect((await seriesOf(name))[labels]).toEqual(value));
}

describe('the metrics of the gateway', () => {
  it('are for this machine without a token, and do not exist for others', async () => {
    const answer = await scrape();
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
    ]);
    expect(await errorOf(await scrape({ 'x-forwarded-for': '203.0.113.9' }))).toMatchObject({
      status: 404,
      error: { code: 'unknown_url' },
    });
    expect((await fetch(`${bench.baseUrl}/v1/metrics`)).status).toBe(401);
  });

  it('count a plain request: outcome, hold, attempt, tokens, cost and event', async () => {
    await bench.upstream.behave({ promptTokens: 10, chunks: 4 });
    const response = await bench.post(bench.chat());
    expect(response.status).toBe(200);
    const body: any = await response.json();
    const { model } = bench.seeded;
    const labels = `{endpoint="/v1/chat/completions",model="${model}"`;
    await expectSeries('tollgate_gateway_requests_total', `${labels},outcome="completed",status="200"}`, 1);
    await expectSeries('tollgate_gateway_request_duration_seconds_count', `${labels}}`, 1);
    await expectSeries('tollgate_gateway_holds_total', '{result="placed"}', 1);
    await expectSeries(
      'tollgate_gateway_tokens_total',
      `{model="${model}",kind="input"}`,
      body.usage.prompt_tokens,
    );
    await expectSeries(
      'tollgate_gateway_cost_credits_total',
      `{model="${model}"}`,
      Number(response.headers.get('x-credits-charged')),
    );
    await expectSeries('tollgate_gateway_usage_events_total', '{taker="queue"}', 1);
    const attempts = await seriesOf('tollgate_gateway_upstream_attempts_total');
    expect(Object.entries(attempts)).toEqual([[expect.stringContaining('result="answered"'), 1]]);
    await expectSeries('tollgate_gateway_live_holds', '', 0);
  });

  it('show a stream while it runs, and when its first token came', async () => {
    await bench.upstream.behave({ chunks: 20, chunkDelayMs: 50 });
    const response = await bench.post(bench.chat('slowly', { stream: true }));
    await expectSeries('tollgate_gateway_open_streams', '', 1);
    await expectSeries('tollgate_gateway_requests_in_flight', '', 1);
    await response.text();
    await expectSeries('tollgate_gateway_open_streams', '', 0);
    const first = await seriesOf('tollgate_gateway_time_to_first_token_seconds_count');
    expect(Object.values(first)).toEqual([1]);
  });

  it('count a client that leaves, with the attempt that it left', async () => {
    await bench.upstream.behave({ chunks: 200, chunkDelayMs: 50 });
    const leaving = new AbortController();
    await bench.post(bench.chat('bye', { stream: true }), { signal: leaving.signal });
    leaving.abort();
    const labels = `{endpoint="/v1/chat/completions",model="${bench.seeded.model}",outcome="client_closed",status="200"}`;
    await expectSeries('tollgate_gateway_requests_total', labels, 1);
    await expectSeries('tollgate_gateway_open_streams', '', 0);
    const attempts = await seriesOf('tollgate_gateway_upstream_attempts_total');
    expect(Object.entries(attempts)).toContainEqual([expect.stringContaining('result="client_left"'), 1]);
  });

  it('count an upstream that fails by its class', async () => {
    await bench.upstream.behave({ status: 500 });
    expect((await bench.post(bench.chat())).status).toBe(502);
    const attempts = await seriesOf('tollgate_gateway_upstream_attempts_total');
    expect(Object.entries(attempts)).toContainEqual([expect.stringContaining('result="broken"'), 1]);
    await expectSeries('tollgate_gateway_refusals_total', '{code="upstream_error",status="502"}', 1);
  });

  it('count refusals by code, with models of the catalog only', async () => {
    await bench.post(bench.chat(), { key: 'sk-wrong-key-of-nobody' });
    await bench.post({ ...bench.chat(), model: 'no-such-model-4711' });
    await bench.post({ ...bench.chat(), temperature: 'hot' });
    await fetch(`${bench.baseUrl}/v1/no-such-path-4711`, {
      headers: { authorization: `Bearer ${bench.seeded.apiKey}` },
    });
    await eventually(async () => {
      expect(await seriesOf('tollgate_gateway_refusals_total')).toMatchObject({
        '{code="invalid_api_key",status="401"}': 1,
        '{code="model_not_found",status="404"}': 1,
        '{code="unknown_url",status="404"}': expect.any(Number),
      });
      const requests = await seriesOf('tollgate_gateway_requests_total');
      expect(requests['{endpoint="unknown",model="unknown",outcome="refused",status="404"}']).toBe(1);
    });
  });

  it('name no key, no account, no path and no credential', async () => {
    const text = await (await scrape()).text();
    const { apiKey, accountId, apiKeyId } = bench.seeded;
    for (const secret of [apiKey, accountId, apiKeyId, SECRET, '4711', 'sk-wrong']) {
      expect(text).not.toContain(secret);
    }
  });
});
