import { eventually, marker, untilServed } from '@tollgate/testing';
import { GatewayBench, SECRET, errorOf, events } from './gateway.spec-kit.js';

const bench = new GatewayBench();

beforeAll(() => bench.start());

afterAll(() => bench.stop());

beforeEach(async () => {
  await Promise.all([bench.upstream.reset(), bench.spare.reset()]);
});

describe('refusals', () => {
  it('tells no key from a wrong one, and never shows more than seven characters of it', async () => {
    const none = await errorOf(await bench.post(bench.chat(), { key: null }));
    expect(none).toMatchObject({ status: 401, error: { code: null, type: 'invalid_request_error' } });
    const wrong = await errorOf(await bench.post(bench.chat(), { key: 'sk-abcdefghijklmnop' }));
    expect(wrong).toMatchObject({ status: 401, error: { code: 'invalid_api_key' } });
    expect(wrong.error.message).toContain('sk-****mnop');
  });

  it('takes a key from any accepted place', async () => {
    const basic = Buffer.from(`:${bench.seeded.apiKey}`).toString('base64');
    const places: Record<string, string>[] = [
      { authorization: `  bearer   ${bench.seeded.apiKey}` },
      { authorization: bench.seeded.apiKey },
      { authorization: `Basic ${basic}` },
      { 'api-key': bench.seeded.apiKey },
      { 'x-api-key': bench.seeded.apiKey },
      { authorization: 'Bearer sk-wrong-one', 'x-api-key': bench.seeded.apiKey },
    ];
    for (const headers of places) {
      expect((await bench.post(bench.chat(), { key: null, headers })).status).toBe(200);
    }
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
    const refusal = await errorOf(await bench.post(body));
    expect(refusal).toMatchObject({ status, error: { code, param } });
    expect(await bench.upstream.arrivals()).toBe(0);
  });

  it('refuses another content type with 400', async () => {
    const refusal = await errorOf(await bench.post('a=b', { headers: { 'content-type': 'text/plain' } }));
    expect(refusal).toMatchObject({ status: 400, error: { code: 'unsupported_content_type' } });
  });

  it('tells a wrong path from a wrong method', async () => {
    const authorization = `Bearer ${bench.seeded.apiKey}`;
    const get = await fetch(`${bench.baseUrl}/v1/chat/completions`, { headers: { authorization } });
    expect(get.headers.get('allow')).toBe('POST');
    expect(await errorOf(get)).toMatchObject({ status: 405, error: { code: 'method_not_supported' } });
    const path = await fetch(`${bench.baseUrl}/v1/nothing`, { method: 'POST', headers: { authorization } });
    expect(await errorOf(path)).toMatchObject({ status: 404, error: { code: 'unknown_url' } });
  });

  it.each([
    ['what is not HTTP', 'HELLO THERE\r\n\r\n', 400],
    ['a head beyond 32 KiB', `GET /v1/models HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`, 431],
  ])('answers %s in the same envelope', async (_what, bytes, status) => {
    const text = await bench.rawExchange(bytes);
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(text).toMatch(/\r\nx-request-id: req_[0-9a-f]{32}\r\n/);
    const body = JSON.parse(text.slice(text.indexOf('\r\n\r\n')));
    expect(body).toMatchObject({
      error: { type: 'invalid_request_error', code: 'malformed_request', param: null },
    });
  });

  it('refuses a body beyond 32 MiB with 413', async () => {
    const response = await bench.post(`"${'x'.repeat(33 * 1024 * 1024)}"`);
    expect(await errorOf(response)).toMatchObject({ status: 413, error: { code: 'request_too_large' } });
  });

  it('refuses what the balance does not cover, for good', async () => {
    const poor = await bench.seed({ balanceNano: 0n });
    const response = await bench.post(bench.chat(), { key: poor.apiKey });
    expect(response.headers.get('x-should-retry')).toBe('false');
    expect(response.headers.get('retry-after')).toBeNull();
    const body: any = await response.json();
    expect(response.status).toBe(429);
    expect(body.error).toMatchObject({
      code: 'insufficient_quota',
      type: 'insufficient_quota',
      reason: 'credit_balance_exhausted',
    });
    expect(await bench.upstream.arrivals()).toBe(0);
  });

  it('forgets a key within a second of its revocation', async () => {
    const other = await bench.seed({});
    expect((await bench.post(bench.chat(), { key: other.apiKey })).status).toBe(200);
    await bench.owner.query("UPDATE tollgate.api_key SET status = 'revoked' WHERE id = $1", [other.apiKeyId]);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(await errorOf(await bench.post(bench.chat(), { key: other.apiKey }))).toMatchObject({
      status: 401,
    });
  });
});

describe('upstreams where UPSTREAM_PRIVATE_NETWORKS is deny', () => {
  const strict = new GatewayBench();

  beforeAll(() => strict.start({ UPSTREAM_PRIVATE_NETWORKS: 'deny' }));

  afterAll(() => strict.stop());

  it('are the operator’s to mend on a private address, so that no client tries again', async () => {
    const named = await strict.seed({
      model: 'by-name',
      upstreams: [strict.upstream.baseUrl.replace('127.0.0.1', 'localhost')],
    });
    await eventually(async () => {
      for (const { model, apiKey } of [strict.seeded, named]) {
        const response = await strict.post({ ...strict.chat(), model }, { key: apiKey });
        expect(response.headers.get('x-should-retry')).toBe('false');
        const { status, error } = await errorOf(response);
        expect([status, error.code]).toEqual([502, 'upstream_error']);
        expect(error.message).toBe(
          `This gateway cannot use the provider of the model \`${model}\`. The operator has to mend it.`,
        );
      }
    });
    expect(await strict.upstream.arrivals()).toBe(0);
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
    await bench.upstream.behave(behaviour);
    const response = await bench.post(bench.chat());
    const text = await response.clone().text();
    expect(text).not.toContain(SECRET);
    expect(await errorOf(response)).toMatchObject({ status, error: { code } });
    expect(await bench.eventOf(response)).toMatchObject({
      outcome: 'upstream_failed',
      billable: false,
      costNano: '0',
    });
  });

  it('passes on when a busy upstream wants to be asked again, up to a minute', async () => {
    await bench.upstream.behave({
      status: 429,
      headers: { 'retry-after': '7' },
      errorBody: { error: { message: 'slow' } },
    });
    expect((await bench.post(bench.chat())).headers.get('retry-after')).toBe('7');
    await bench.upstream.behave({
      status: 429,
      headers: { 'retry-after': '700' },
      errorBody: { error: { message: 'slow' } },
    });
    expect((await bench.post(bench.chat())).headers.get('retry-after')).toBe('60');
  });

  it('does not wait longer for the head than the client says that it does', async () => {
    await bench.upstream.behave({ delayMs: 4_000 });
    const response = await bench.post(bench.chat(), { headers: { 'x-stainless-timeout': '1' } });
    expect(await errorOf(response)).toMatchObject({ status: 504, error: { code: 'upstream_timeout' } });
    expect(await bench.eventOf(response)).toMatchObject({ outcome: 'timeout', billable: false });
  });

  it('tells the caller of the caller’s fault, in cleaned words', async () => {
    await bench.upstream.behave({
      status: 400,
      errorBody: { error: { message: `no such thing, sk-${SECRET}`, param: 'top_p' } },
    });
    const refusal = await errorOf(await bench.post(bench.chat()));
    expect(refusal).toMatchObject({ status: 400, error: { param: 'top_p', message: 'no such thing, ***' } });
  });

  it('reports a failure before the first event of a stream with a status', async () => {
    await bench.upstream.behave({ fault: 'reset_after_head' });
    expect(await errorOf(await bench.post(bench.chat('s', { stream: true })))).toMatchObject({ status: 502 });
  });

  it.each(['reset_mid_stream', 'end_mid_stream', 'error_frame'] as const)(
    'ends a stream after %s with an error frame',
    async (fault) => {
      await bench.upstream.behave({ fault, faultAfterChunks: 3, chunks: 10, chunkBytes: 8, chunkDelayMs: 2 });
      const response = await bench.post(bench.chat('s', { stream: true }));
      const text = await response.text();
      expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
      expect(events(text).at(-1)).toMatchObject({
        error: { type: 'server_error', code: 'upstream_error', param: null },
      });
      expect(await bench.eventOf(response)).toMatchObject({
        outcome: 'upstream_failed',
        usageSource: 'partial',
        billable: true,
      });
    },
  );

  it('repeats a request once, silently, when a kept connection turns out to be closed', async () => {
    await bench.post(bench.chat());
    await bench.upstream.behave({ fault: 'reset_reused_connection' });
    const response = await bench.post(bench.chat(marker('stale')));
    expect(response.status).toBe(200);
    expect(await bench.eventOf(response)).toMatchObject({ attempts: 1 });
  });

  it('asks the next deployment where the first one fails, and charges once', async () => {
    const two = await bench.seed({
      model: 'two-upstreams',
      upstreams: [bench.upstream.baseUrl, bench.spare.baseUrl],
    });
    await untilServed(bench.baseUrl, two);
    await bench.upstream.behave({ status: 503 });
    for (const stream of [false, true]) {
      const response = await bench.post(
        { ...bench.chat('x', { stream }), model: two.model },
        { key: two.apiKey },
      );
      expect(response.status).toBe(200);
      await response.text();
      expect(await bench.eventOf(response)).toMatchObject({
        attempts: 2,
        deploymentId: two.deploymentIds[1],
        outcome: 'completed',
      });
    }
    expect(await bench.spare.arrivals()).toBe(2);
  });
});
