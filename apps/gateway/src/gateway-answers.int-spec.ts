import { eventually, marker, untilServed } from '@tollgate/testing';
import { GatewayBench, errorOf, events } from './gateway.spec-kit.js';

const bench = new GatewayBench();

beforeAll(() => bench.start());

afterAll(() => bench.stop());

beforeEach(async () => {
  await Promise.all([bench.upstream.reset(), bench.spare.reset()]);
});

describe('chat completions', () => {
  it('answers plainly in OpenAI’s form and publishes what it used', async () => {
    await bench.upstream.behave({ chunks: 7, promptTokens: 13 });
    const response = await bench.post(bench.chat('plain'));
    const body: any = await response.json();
    expect(response.status).toBe(200);
    expect(body).toMatchObject({
      object: 'chat.completion',
      model: bench.seeded.model,
      choices: [
        { index: 0, message: { role: 'assistant', refusal: null }, finish_reason: 'stop', logprobs: null },
      ],
      usage: { prompt_tokens: 13, completion_tokens: 7, total_tokens: 20 },
    });
    const [delivery] = await bench.upstream.deliveries();
    expect(delivery?.body).toMatchObject({ model: `upstream-${bench.seeded.model}` });
    expect(await bench.eventOf(response)).toMatchObject({
      outcome: 'completed',
      usageSource: 'provider',
      units: { input: 13, output: 7 },
      // 13 × 0.15 + 7 × 0.60 credits per million units.
      costNano: '6150',
      billable: true,
      attempts: 1,
    });
  });

  it('streams whole events, the usage only if it was asked for, and ends with [DONE]', async () => {
    await bench.upstream.behave({ chunks: 5, promptTokens: 3, quirks: ['split_writes', 'crlf', 'comments'] });
    const silent = await (await bench.post(bench.chat('s', { stream: true }))).text();
    expect(silent.endsWith('data: [DONE]\n\n')).toBe(true);
    expect(events(silent).every((chunk) => !('usage' in chunk))).toBe(true);
    const response = await bench.post(
      bench.chat('s', { stream: true, stream_options: { include_usage: true } }),
    );
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const chunks = events(await response.text());
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 5 } });
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
    expect(new Set(chunks.map(({ id, created, model }) => `${id} ${created} ${model}`)).size).toBe(1);
    expect(await bench.eventOf(response)).toMatchObject({
      units: { input: 3, output: 5 },
      outcome: 'completed',
    });
  });

  it('estimates what the upstream did not count', async () => {
    await bench.upstream.behave({ chunks: 4, chunkBytes: 10, usage: 'none' });
    const response = await bench.post(bench.chat('x'.repeat(40)));
    const body: any = await response.json();
    expect(body.usage).toMatchObject({ prompt_tokens: 13, completion_tokens: 10 });
    expect(await bench.eventOf(response)).toMatchObject({
      usageSource: 'estimated',
      units: { input: 13, output: 10 },
    });
  });

  it('does not believe usage that cannot be true', async () => {
    await bench.upstream.behave({ chunks: 4, usage: { prompt_tokens: -5, completion_tokens: 9 } });
    expect(await bench.eventOf(await bench.post(bench.chat()))).toMatchObject({ usageSource: 'estimated' });
  });

  it('cancels the upstream when the client leaves, and charges for what it got', async () => {
    await bench.upstream.behave({ fault: 'endless', chunkDelayMs: 5, chunkBytes: 40 });
    const abort = new AbortController();
    const response = await bench.post(bench.chat(marker('leaver'), { stream: true }), {
      signal: abort.signal,
    });
    // The first piece can be the role alone; what comes after it has text.
    const reader = response.body?.getReader();
    for (let pieces = 0; pieces < 5; pieces += 1) await reader?.read();
    abort.abort();
    const event = await bench.eventOf(response);
    expect(event).toMatchObject({ outcome: 'client_closed', usageSource: 'partial', billable: true });
    expect(event.units.output).toBeGreaterThan(0);
    await eventually(async () => {
      expect(await bench.upstream.deliveryOf('leaver')).toMatchObject({ clientAborted: true, ended: false });
    });
  });

  it('cancels the upstream when the client leaves before the head', async () => {
    await bench.upstream.behave({ held: true });
    const abort = new AbortController();
    const pending = bench.post(bench.chat(marker('early')), { signal: abort.signal });
    pending.catch(() => undefined);
    await bench.upstream.waitForArrivals(1);
    abort.abort();
    await expect(pending).rejects.toThrow();
    const event = await bench.waitForEvent(
      ({ outcome, units }) => outcome === 'client_closed' && units.output === 0,
    );
    // What was fully sent is charged for its input.
    expect(event).toMatchObject({ billable: true, usageSource: 'partial', units: { output: 0 } });
    await eventually(async () => {
      expect(await bench.upstream.deliveryOf('early')).toMatchObject({ clientAborted: true });
    });
  });
});

describe('balances', () => {
  it('holds less and caps the upstream where the whole cap is not affordable', async () => {
    // 300 output tokens at 600,000 pico-credits, and a little for the input.
    const poor = await bench.seed({ balanceNano: 190_000n });
    await bench.upstream.behave({ chunks: 1 });
    expect((await bench.post(bench.chat('hi'), { key: poor.apiKey })).status).toBe(200);
    const [delivery] = await bench.upstream.deliveries();
    const { max_tokens: cap } = delivery?.body as { max_tokens: number };
    expect(cap).toBeGreaterThanOrEqual(256);
    expect(cap).toBeLessThan(320);
  });

  it('never adds a cap that the client did not send where the balance covers the request', async () => {
    await bench.post(bench.chat('hi'));
    const [delivery] = await bench.upstream.deliveries();
    expect(delivery?.body).not.toHaveProperty('max_tokens');
  });

  it('extends the hold of a stream, and cuts the stream off where the balance ends', async () => {
    // 3,000 output tokens: more than the first slice of 2,000.
    const poor = await bench.seed({
      balanceNano: 1_800_000n,
      model: 'long-answers',
      upstreams: [bench.upstream.baseUrl],
      outputTokensMax: 100_000,
    });
    await untilServed(bench.baseUrl, poor);
    await bench.upstream.behave({ chunks: 8_000, chunkBytes: 3, chunkDelayMs: 0 });
    const options = { stream: true, stream_options: { include_usage: true } };
    const response = await bench.post(
      { ...bench.chat('x', options), model: poor.model },
      { key: poor.apiKey },
    );
    const chunks = events(await response.text());
    const [finish, usage, error] = chunks.slice(-3);
    expect(finish.choices[0]).toMatchObject({ finish_reason: 'length', delta: {} });
    expect(usage).toMatchObject({ choices: [], usage: { completion_tokens: expect.any(Number) } });
    expect(error).toMatchObject({ error: { code: 'insufficient_quota' } });
    expect(error.error.message).toContain('What is left of your balance may not cover more of this answer');
    const event = await bench.eventOf(response);
    expect(event).toMatchObject({ outcome: 'cut_off', billable: true });
    expect(BigInt(event.costNano) <= 1_800_000n).toBe(true);
    const pieces = chunks.filter((chunk) => chunk.choices?.[0]?.delta?.content).length;
    expect(pieces).toBeGreaterThan(2_000);
    expect(pieces).toBeLessThan(3_100);
  });
});

describe('a stream whose upstream counts nothing', () => {
  it('is cut off by the cautious count and charged by the estimate: a quarter stays', async () => {
    const balanceNano = 50_000_000n;
    const poor = await bench.seed({
      balanceNano,
      model: 'uncounted',
      upstreams: [bench.upstream.baseUrl],
      rates: { input: '10000000', output: '20000000' },
      outputTokensMax: 100_000,
    });
    await bench.upstream.behave({ chunks: 8_000, chunkBytes: 5, chunkDelayMs: 0, usage: 'none' });
    const body = { ...bench.chat('x', { stream: true }), model: poor.model };
    const response = await eventually(async () => {
      const answer = await bench.post(body, { key: poor.apiKey });
      expect(answer.status).toBe(200);
      return answer;
    });
    await response.text();
    const event = await bench.eventOf(response);
    expect(event).toMatchObject({ outcome: 'cut_off', usageSource: 'partial' });
    const left = balanceNano - BigInt(event.costNano);
    expect(Number(left) / Number(balanceNano)).toBeCloseTo(0.25, 2);
  });
});

describe('embeddings and legacy completions', () => {
  it('bridges a completion to chat where the upstream has only chat, and remembers that', async () => {
    await bench.upstream.behave({ chunks: 3, promptTokens: 2 });
    const ask = (more: object): Promise<Response> =>
      bench.call('completions', { model: bench.seeded.model, prompt: 'x', ...more });
    const plain: any = await (await ask({})).json();
    expect(plain).toMatchObject({
      object: 'text_completion',
      model: bench.seeded.model,
      choices: [{ index: 0, logprobs: null, finish_reason: 'stop' }],
      usage: { prompt_tokens: 2, completion_tokens: 3 },
    });
    const chunks = events(await (await ask({ stream: true })).text());
    expect(chunks.map(({ choices }) => choices[0].text).join('')).toBe(plain.choices[0].text);
    const paths = (await bench.upstream.deliveries()).map(({ path }) => path);
    expect(paths).toEqual(['/v1/chat/completions', '/v1/chat/completions']);
  });

  it('refuses what only a completions API can do, where there is none', async () => {
    const response = await bench.call('completions', { model: bench.seeded.model, prompt: [1, 2, 3] });
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.status).toBeLessThan(503);
  });

  it('says on plain answers what was charged and what is left', async () => {
    await bench.upstream.behave({ chunks: 7, promptTokens: 13 });
    const payer = await bench.seed({ balanceNano: 1_000_000_000n });
    const response = await bench.post(bench.chat(), { key: payer.apiKey });
    expect(response.headers.get('x-credits-charged')).toBe('0.00000615');
    expect(response.headers.get('x-credits-remaining')).toBe('0.99999385');
  });
});

describe('models', () => {
  it('lists what the key may use, and reads one whose name holds a slash and a colon', async () => {
    const named = await bench.seed({ model: 'vendor/model:latest', upstreams: [bench.upstream.baseUrl] });
    await untilServed(bench.baseUrl, named);
    const headers = { authorization: `Bearer ${named.apiKey}` };
    const list: any = await (await fetch(`${bench.baseUrl}/v1/models`, { headers })).json();
    expect(list).toMatchObject({ object: 'list', has_more: false });
    expect(list.data.map(({ id }: any) => id)).toEqual(
      expect.arrayContaining([bench.seeded.model, named.model]),
    );
    const one: any = await (await fetch(`${bench.baseUrl}/v1/models/${named.model}`, { headers })).json();
    expect(one).toMatchObject({ id: named.model, object: 'model', owned_by: 'tollgate' });
    expect(one.display_name).toBe(named.model);
    const missing = await fetch(`${bench.baseUrl}/v1/models/nope`, { headers });
    expect(await errorOf(missing)).toMatchObject({ status: 404, error: { code: 'model_not_found' } });
  });
});

describe('the display name of a model', () => {
  it('is what the operator gave, also after a change, and the id where there is none', async () => {
    const named = await bench.seed({ model: 'shown', upstreams: [bench.upstream.baseUrl] });
    const headers = { authorization: `Bearer ${named.apiKey}` };
    const shownAs = async (): Promise<unknown[]> => {
      const one: any = await (await fetch(`${bench.baseUrl}/v1/models/shown`, { headers })).json();
      const list: any = await (await fetch(`${bench.baseUrl}/v1/models`, { headers })).json();
      return [one.display_name, list.data.find(({ id }: any) => id === 'shown')?.display_name];
    };
    for (const displayName of [null, 'Shown to people', 'Shown anew', null]) {
      await bench.owner.query(`UPDATE tollgate.model SET display_name = $1 WHERE id = 'shown'`, [
        displayName,
      ]);
      const expected = displayName ?? 'shown';
      await eventually(async () => expect(await shownAs()).toEqual([expected, expected]));
    }
  });
});

describe('health', () => {
  it('is alive and ready without a key', async () => {
    for (const path of ['live', 'ready']) {
      const response = await fetch(`${bench.baseUrl}/health/${path}`);
      expect(response.status).toBe(200);
    }
  });
});
