import { connect } from 'node:net';
import { MasterKey, type RunningProcess } from '@tollgate/runtime';
import {
  createTestDatabase,
  marker,
  seedInstallation,
  startFakeUpstream,
  type FakeUpstream,
  type SeededInstallation,
  type TestDatabase,
} from '@tollgate/testing';
import { Client } from 'pg';
import { bootGateway } from './boot.js';
import { gatewayConfigSchema } from './gateway.config.js';

let database: TestDatabase;
let upstream: FakeUpstream;
let spare: FakeUpstream;
let gateway: RunningProcess;
let baseUrl: string;
let owner: Client;
let seeded: SeededInstallation;
const masterKey = MasterKey.generate();
const SECRET = 'canary-upstream-secret';

beforeAll(async () => {
  [database, upstream, spare] = await Promise.all([
    createTestDatabase(),
    startFakeUpstream({ secret: SECRET }),
    startFakeUpstream({ secret: SECRET }),
  ]);
  seeded = await seed({ upstreams: [upstream.baseUrl] });
  gateway = await bootGateway(
    gatewayConfigSchema.parse({
      PORT: '0',
      DATABASE_URL: database.appUrl,
      MASTER_KEY: masterKey,
      LOG_LEVEL: 'silent',
    }),
  );
  baseUrl = await (gateway.app as unknown as { getUrl(): Promise<string> }).getUrl();
  owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
});

afterAll(async () => {
  await gateway?.app.close();
  await Promise.all([upstream?.stop(), spare?.stop(), owner?.end()]);
  await database?.drop();
});

beforeEach(async () => {
  await Promise.all([upstream.reset(), spare.reset()]);
});

function seed(options: Partial<Parameters<typeof seedInstallation>[0]>): Promise<SeededInstallation> {
  return seedInstallation({
    ownerUrl: database.ownerUrl,
    masterKey,
    upstreams: [],
    upstreamSecret: SECRET,
    ...options,
  });
}

interface CallOptions {
  readonly key?: string | null;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

async function post(body: unknown, options: CallOptions = {}): Promise<Response> {
  const { key = seeded.apiKey, headers = {}, signal } = options;
  return fetch(`${baseUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(key !== null && { authorization: `Bearer ${key}` }),
      ...headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...(signal !== undefined && { signal }),
  });
}

const chat = (text = 'hello', more: object = {}): object => ({
  model: seeded.model,
  messages: [{ role: 'user', content: text }],
  ...more,
});

async function errorOf(response: Response): Promise<{ status: number; error: Record<string, unknown> }> {
  const body: any = await response.json();
  expect(Object.keys(body)).toEqual(['error']);
  expect(Object.keys(body.error).sort()).toEqual(['code', 'message', 'param', 'type']);
  expect(response.headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/);
  return { status: response.status, error: body.error };
}

/** The usage event of a request as it lies in the queue. */
async function eventOf(response: Response): Promise<any> {
  const id = response.headers
    .get('x-request-id')
    ?.replace(/^req_(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return waitForEvent((event) => event.requestId === id);
}

async function waitForEvent(matches: (event: any) => boolean): Promise<any> {
  for (let tries = 0; tries < 100; tries += 1) {
    const { rows } = await owner.query('SELECT data FROM bullmq.job');
    for (const { data } of rows) {
      const job = typeof data === 'string' ? JSON.parse(data) : data;
      const found = job.events.find(matches);
      if (found !== undefined) return found;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the usage event did not reach the queue');
}

/** Sends bytes on a connection of their own and answers all that comes back. */
function rawExchange(bytes: string): Promise<string> {
  const { hostname, port } = new URL(baseUrl);
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    socket.setEncoding('utf8');
    socket.on('data', (piece) => {
      text += String(piece);
    });
    socket.once('close', () => resolve(text)).once('error', reject);
  });
}

/** Tries until it does not throw any more, for five seconds. */
async function eventually(check: () => Promise<void>): Promise<void> {
  const deadlineMs = Date.now() + 5_000;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > deadlineMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function events(text: string): any[] {
  return text
    .split('\n\n')
    .filter((event) => event !== '' && event !== 'data: [DONE]')
    .map((event) => JSON.parse(event.replace(/^data: /, '')));
}

describe('chat completions', () => {
  it('answers plainly in OpenAI’s form and publishes what it used', async () => {
    await upstream.behave({ chunks: 7, promptTokens: 13 });
    const response = await post(chat('plain'));
    const body: any = await response.json();
    expect(response.status).toBe(200);
    expect(body).toMatchObject({
      object: 'chat.completion',
      model: seeded.model,
      choices: [
        { index: 0, message: { role: 'assistant', refusal: null }, finish_reason: 'stop', logprobs: null },
      ],
      usage: { prompt_tokens: 13, completion_tokens: 7, total_tokens: 20 },
    });
    const [delivery] = await upstream.deliveries();
    expect(delivery?.body).toMatchObject({ model: `upstream-${seeded.model}` });
    expect(await eventOf(response)).toMatchObject({
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
    await upstream.behave({ chunks: 5, promptTokens: 3, quirks: ['split_writes', 'crlf', 'comments'] });
    const silent = await (await post(chat('s', { stream: true }))).text();
    expect(silent.endsWith('data: [DONE]\n\n')).toBe(true);
    expect(events(silent).every((chunk) => !('usage' in chunk))).toBe(true);
    const response = await post(chat('s', { stream: true, stream_options: { include_usage: true } }));
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const chunks = events(await response.text());
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 5 } });
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
    expect(new Set(chunks.map(({ id, created, model }) => `${id} ${created} ${model}`)).size).toBe(1);
    expect(await eventOf(response)).toMatchObject({ units: { input: 3, output: 5 }, outcome: 'completed' });
  });

  it('estimates what the upstream did not count', async () => {
    await upstream.behave({ chunks: 4, chunkBytes: 10, usage: 'none' });
    const response = await post(chat('x'.repeat(40)));
    const body: any = await response.json();
    expect(body.usage).toMatchObject({ prompt_tokens: 13, completion_tokens: 10 });
    expect(await eventOf(response)).toMatchObject({
      usageSource: 'estimated',
      units: { input: 13, output: 10 },
    });
  });

  it('does not believe usage that cannot be true', async () => {
    await upstream.behave({ chunks: 4, usage: { prompt_tokens: -5, completion_tokens: 9 } });
    expect(await eventOf(await post(chat()))).toMatchObject({ usageSource: 'estimated' });
  });

  it('cancels the upstream when the client leaves, and charges for what it got', async () => {
    await upstream.behave({ fault: 'endless', chunkDelayMs: 5, chunkBytes: 40 });
    const abort = new AbortController();
    const response = await post(chat(marker('leaver'), { stream: true }), { signal: abort.signal });
    await response.body?.getReader().read();
    abort.abort();
    const event = await eventOf(response);
    expect(event).toMatchObject({ outcome: 'client_closed', usageSource: 'partial', billable: true });
    expect(event.units.output).toBeGreaterThan(0);
    await eventually(async () => {
      expect(await upstream.deliveryOf('leaver')).toMatchObject({ clientAborted: true, ended: false });
    });
  });

  it('cancels the upstream when the client leaves before the head', async () => {
    await upstream.behave({ held: true });
    const abort = new AbortController();
    const pending = post(chat(marker('early')), { signal: abort.signal });
    pending.catch(() => undefined);
    await upstream.waitForArrivals(1);
    abort.abort();
    await expect(pending).rejects.toThrow();
    const event = await waitForEvent(
      ({ outcome, units }) => outcome === 'client_closed' && units.output === 0,
    );
    // What was fully sent is charged for its input.
    expect(event).toMatchObject({ billable: true, usageSource: 'partial', units: { output: 0 } });
    await eventually(async () => {
      expect(await upstream.deliveryOf('early')).toMatchObject({ clientAborted: true });
    });
  });
});

describe('refusals', () => {
  it('tells no key from a wrong one, and never shows more than seven characters of it', async () => {
    const none = await errorOf(await post(chat(), { key: null }));
    expect(none).toMatchObject({ status: 401, error: { code: null, type: 'invalid_request_error' } });
    const wrong = await errorOf(await post(chat(), { key: 'sk-abcdefghijklmnop' }));
    expect(wrong).toMatchObject({ status: 401, error: { code: 'invalid_api_key' } });
    expect(wrong.error.message).toContain('sk-****mnop');
  });

  it('takes a key from any accepted place', async () => {
    const basic = Buffer.from(`:${seeded.apiKey}`).toString('base64');
    const places: Record<string, string>[] = [
      { authorization: `  bearer   ${seeded.apiKey}` },
      { authorization: seeded.apiKey },
      { authorization: `Basic ${basic}` },
      { 'api-key': seeded.apiKey },
      { 'x-api-key': seeded.apiKey },
      { authorization: 'Bearer sk-wrong-one', 'x-api-key': seeded.apiKey },
    ];
    for (const headers of places) expect((await post(chat(), { key: null, headers })).status).toBe(200);
  });

  it.each([
    ['not json', '{"model": ', 400, null, null],
    ['an array', '[]', 400, null, null],
    ['no body', '', 400, null, null],
    ['no model', { messages: [{ role: 'user', content: 'x' }] }, 400, 'missing_required_parameter', 'model'],
    ['no messages', { model: 'fake-chat' }, 400, 'missing_required_parameter', 'messages'],
    [
      'an unknown model',
      { model: 'nope', messages: [{ role: 'user', content: 'x' }] },
      404,
      'model_not_found',
      null,
    ],
  ])('refuses %s', async (_what, body, status, code, param) => {
    const refusal = await errorOf(await post(body));
    expect(refusal).toMatchObject({ status, error: { code, param } });
    expect(await upstream.arrivals()).toBe(0);
  });

  it('refuses another content type with 400', async () => {
    const refusal = await errorOf(await post('a=b', { headers: { 'content-type': 'text/plain' } }));
    expect(refusal).toMatchObject({ status: 400, error: { code: 'unsupported_content_type' } });
  });

  it('tells a wrong path from a wrong method', async () => {
    const authorization = `Bearer ${seeded.apiKey}`;
    const get = await fetch(`${baseUrl}/v1/chat/completions`, { headers: { authorization } });
    expect(get.headers.get('allow')).toBe('POST');
    expect(await errorOf(get)).toMatchObject({ status: 405, error: { code: 'method_not_supported' } });
    const path = await fetch(`${baseUrl}/v1/nothing`, { method: 'POST', headers: { authorization } });
    expect(await errorOf(path)).toMatchObject({ status: 404, error: { code: 'unknown_url' } });
  });

  it.each([
    ['what is not HTTP', 'HELLO THERE\r\n\r\n', 400],
    ['a head beyond 32 KiB', `GET /v1/models HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`, 431],
  ])('answers %s in the same envelope', async (_what, bytes, status) => {
    const text = await rawExchange(bytes);
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(text).toMatch(/\r\nx-request-id: req_[0-9a-f]{32}\r\n/);
    const body = JSON.parse(text.slice(text.indexOf('\r\n\r\n')));
    expect(body).toMatchObject({
      error: { type: 'invalid_request_error', code: 'malformed_request', param: null },
    });
  });

  it('refuses a body beyond 32 MiB with 413', async () => {
    const response = await post(`"${'x'.repeat(33 * 1024 * 1024)}"`);
    expect(await errorOf(response)).toMatchObject({ status: 413, error: { code: 'request_too_large' } });
  });

  it('refuses what the balance does not cover, for good', async () => {
    const poor = await seed({ balanceNano: 0n });
    const response = await post(chat(), { key: poor.apiKey });
    expect(response.headers.get('x-should-retry')).toBe('false');
    expect(response.headers.get('retry-after')).toBeNull();
    expect(await errorOf(response)).toMatchObject({
      status: 429,
      error: { code: 'insufficient_quota', type: 'insufficient_quota' },
    });
    expect(await upstream.arrivals()).toBe(0);
  });

  it('forgets a key within a second of its revocation', async () => {
    const other = await seed({});
    expect((await post(chat(), { key: other.apiKey })).status).toBe(200);
    await owner.query("UPDATE tollgate.api_key SET status = 'revoked' WHERE id = $1", [other.apiKeyId]);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(await errorOf(await post(chat(), { key: other.apiKey }))).toMatchObject({ status: 401 });
  });
});

describe('upstreams that fail', () => {
  it.each([
    ['a server error', { status: 500 }, 502, 'upstream_error'],
    ['our key refused', { status: 401 }, 502, 'upstream_error'],
    [
      'our account empty',
      { status: 429, errorBody: { error: { code: 'insufficient_quota', message: SECRET } } },
      502,
      'upstream_error',
    ],
    ['a rate limit', { status: 429, errorBody: { error: { message: 'slow' } } }, 429, 'rate_limit_exceeded'],
    ['broken JSON', { fault: 'broken_json' }, 502, 'upstream_error'],
    ['a reset before the head', { fault: 'reset_before_head' }, 502, 'upstream_error'],
  ] as const)('answers %s as its own failure and charges nothing', async (_what, behaviour, status, code) => {
    await upstream.behave(behaviour);
    const response = await post(chat());
    const text = await response.clone().text();
    expect(text).not.toContain(SECRET);
    expect(await errorOf(response)).toMatchObject({ status, error: { code } });
    expect(await eventOf(response)).toMatchObject({
      outcome: 'upstream_failed',
      billable: false,
      costNano: '0',
    });
  });

  it('tells the caller of the caller’s fault, in cleaned words', async () => {
    await upstream.behave({
      status: 400,
      errorBody: { error: { message: `no such thing, sk-${SECRET}`, param: 'top_p' } },
    });
    const refusal = await errorOf(await post(chat()));
    expect(refusal).toMatchObject({ status: 400, error: { param: 'top_p', message: 'no such thing, ***' } });
  });

  it('reports a failure before the first event of a stream with a status', async () => {
    await upstream.behave({ fault: 'reset_after_head' });
    expect(await errorOf(await post(chat('s', { stream: true })))).toMatchObject({ status: 502 });
  });

  it.each(['reset_mid_stream', 'end_mid_stream', 'error_frame'] as const)(
    'ends a stream after %s with an error frame',
    async (fault) => {
      await upstream.behave({ fault, faultAfterChunks: 3, chunks: 10, chunkBytes: 8, chunkDelayMs: 2 });
      const response = await post(chat('s', { stream: true }));
      const text = await response.text();
      expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
      expect(events(text).at(-1)).toMatchObject({
        error: { type: 'server_error', code: 'upstream_error', param: null },
      });
      expect(await eventOf(response)).toMatchObject({
        outcome: 'upstream_failed',
        usageSource: 'partial',
        billable: true,
      });
    },
  );

  it('repeats a request once, silently, when a kept connection turns out to be closed', async () => {
    await post(chat());
    await upstream.behave({ fault: 'reset_reused_connection' });
    const response = await post(chat(marker('stale')));
    expect(response.status).toBe(200);
    expect(await eventOf(response)).toMatchObject({ attempts: 1 });
  });

  it('asks the next deployment where the first one fails, and charges once', async () => {
    const two = await seed({ model: 'two-upstreams', upstreams: [upstream.baseUrl, spare.baseUrl] });
    await new Promise((resolve) => setTimeout(resolve, 500));
    await upstream.behave({ status: 503 });
    for (const stream of [false, true]) {
      const response = await post({ ...chat('x', { stream }), model: two.model }, { key: two.apiKey });
      expect(response.status).toBe(200);
      await response.text();
      expect(await eventOf(response)).toMatchObject({
        attempts: 2,
        deploymentId: two.deploymentIds[1],
        outcome: 'completed',
      });
    }
    expect(await spare.arrivals()).toBe(2);
  });
});

describe('balances', () => {
  it('holds less and caps the upstream where the whole cap is not affordable', async () => {
    // 300 output tokens at 600,000 pico-credits, and a little for the input.
    const poor = await seed({ balanceNano: 190_000n });
    await upstream.behave({ chunks: 1 });
    expect((await post(chat('hi'), { key: poor.apiKey })).status).toBe(200);
    const [delivery] = await upstream.deliveries();
    const { max_tokens: cap } = delivery?.body as { max_tokens: number };
    expect(cap).toBeGreaterThanOrEqual(256);
    expect(cap).toBeLessThan(320);
  });

  it('never adds a cap that the client did not send where the balance covers the request', async () => {
    await post(chat('hi'));
    const [delivery] = await upstream.deliveries();
    expect(delivery?.body).not.toHaveProperty('max_tokens');
  });

  it('extends the hold of a stream, and cuts the stream off where the balance ends', async () => {
    // 3,000 output tokens: more than the first slice of 2,000.
    const poor = await seed({
      balanceNano: 1_800_000n,
      model: 'long-answers',
      upstreams: [upstream.baseUrl],
      outputTokensMax: 100_000,
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    await upstream.behave({ chunks: 8_000, chunkBytes: 3, chunkDelayMs: 0 });
    const options = { stream: true, stream_options: { include_usage: true } };
    const response = await post({ ...chat('x', options), model: poor.model }, { key: poor.apiKey });
    const chunks = events(await response.text());
    const [finish, usage, error] = chunks.slice(-3);
    expect(finish.choices[0]).toMatchObject({ finish_reason: 'length', delta: {} });
    expect(usage).toMatchObject({ choices: [], usage: { completion_tokens: expect.any(Number) } });
    expect(error).toMatchObject({ error: { code: 'insufficient_quota' } });
    const event = await eventOf(response);
    expect(event).toMatchObject({ outcome: 'cut_off', billable: true });
    expect(BigInt(event.costNano) <= 1_800_000n).toBe(true);
    const pieces = chunks.filter((chunk) => chunk.choices?.[0]?.delta?.content).length;
    expect(pieces).toBeGreaterThan(2_000);
    expect(pieces).toBeLessThan(3_100);
  });
});

describe('models', () => {
  it('lists what the key may use, and reads one whose name holds a slash and a colon', async () => {
    const named = await seed({ model: 'vendor/model:latest', upstreams: [upstream.baseUrl] });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const headers = { authorization: `Bearer ${named.apiKey}` };
    const list: any = await (await fetch(`${baseUrl}/v1/models`, { headers })).json();
    expect(list).toMatchObject({ object: 'list', has_more: false });
    expect(list.data.map(({ id }: any) => id)).toEqual(expect.arrayContaining([seeded.model, named.model]));
    const one: any = await (await fetch(`${baseUrl}/v1/models/${named.model}`, { headers })).json();
    expect(one).toMatchObject({ id: named.model, object: 'model', owned_by: 'tollgate' });
    const missing = await fetch(`${baseUrl}/v1/models/nope`, { headers });
    expect(await errorOf(missing)).toMatchObject({ status: 404, error: { code: 'model_not_found' } });
  });
});

describe('health', () => {
  it('is alive and ready without a key', async () => {
    for (const path of ['live', 'ready']) {
      const response = await fetch(`${baseUrl}/health/${path}`);
      expect(response.status).toBe(200);
    }
  });
});
