import { eventually } from '@tollgate/testing';
import { ConformanceBench, MODEL, chatBody } from './conformance-bench.js';
import { isProxysOwn, open, readAnswer, type RawRequest } from './raw-http.js';
import { CANARY, breaks, chatAnswer, refuses, says } from './scripted-upstream.js';

const IMPATIENT = 'impatient-chat';
const DOWN = 'down-chat';
const DEAR = 'dear-chat';
const TWICE = 'twice-served';

let bench: ConformanceBench;

beforeAll(async () => {
  bench = await ConformanceBench.start();
  await bench.sell(IMPATIENT, { deployment: { settings: { firstByteTimeoutMs: 400 } } });
  await bench.sell(DOWN, { deployment: { baseUrl: 'http://127.0.0.1:1/v1' } });
  await bench.sell(DEAR, { rates: { input: '1000', output: '1000' } });
  await bench.sell(TWICE);
  await bench.admin.deploy(TWICE, bench.upstream, {
    name: 'the second of two',
    credential: `sk-${CANARY}-credential`,
  });
  for (const model of [IMPATIENT, DOWN, DEAR, TWICE]) await bench.untilSold(model);
});

afterEach(() => bench.audit());

afterAll(() => bench?.close());

/** The error that a chat request with these members gets, where the upstream refuses it like this. */
async function refusedBy(status: number, error: Record<string, unknown> = {}, members = {}) {
  bench.upstream.answer(refuses(status, error));
  return bench.chat(members);
}

describe('errors', () => {
  it('C-140 has the envelope with its four keys, message a text, on every kind of refusal', async () => {
    for (const ask of [
      { path: '/v1/nothing' },
      { path: '/nothing' },
      { key: null },
      { json: {} },
      { method: 'PUT', path: '/v1/models' },
    ]) {
      const { json, headers } = await bench.ask(ask);
      expect(Object.keys(json)).toEqual(['error']);
      expect(Object.keys(json.error).sort()).toEqual(['code', 'message', 'param', 'type']);
      expect(headers['content-type']).toMatch(/^application\/json/);
    }
  });

  it('C-141 answers 401 without a code where no credential is given, and no login box to browsers', async () => {
    const { status, json, headers } = await bench.chat({}, { key: null });
    expect(json.error).toMatchObject({ type: 'invalid_request_error', code: null, param: null });
    expect(json.error.message).toMatch(
      /^You didn't provide an API key\. You need to provide your API key in an/,
    );
    expect(status).toBe(401);
    expect(headers['www-authenticate']).toBe('Bearer');
    const browser = await bench.chat({}, { key: null, headers: [['Origin', 'https://chat.example']] });
    expect(browser.status).toBe(401);
    expect(browser.headers).not.toHaveProperty('www-authenticate');
  });

  it('C-142 answers 401 invalid_api_key for a wrong and for a revoked key', async () => {
    const revoked = await bench.openKey({});
    await bench.admin.delete(`/api-keys/${revoked.id}`);
    for (const key of ['sk-wrong-key-of-nobody', revoked.key]) {
      await eventually(async () => {
        const { status, json } = await bench.chat({}, { key });
        expect(json.error).toMatchObject({
          type: 'invalid_request_error',
          code: 'invalid_api_key',
          param: null,
        });
        expect(json.error.message).toMatch(/^Incorrect API key provided: sk-\*+\w{4}\. /);
        expect(status).toBe(401);
      }, 2_000);
    }
  });

  it('C-143 answers 401 account_deactivated for a disabled or expired key and a suspended account', async () => {
    const disabled = await bench.openKey({});
    await bench.admin.patch(`/api-keys/${disabled.id}`, { status: 'disabled' });
    const expired = await bench.openKey({ expiresAt: new Date(Date.now() + 300).toISOString() });
    const suspended = await bench.openAccount('1');
    await bench.admin.patch(`/accounts/${suspended.accountId}`, { status: 'suspended' });
    for (const key of [disabled.key, expired.key, suspended.apiKey]) {
      await eventually(async () => {
        const { status, json } = await bench.chat({}, { key });
        expect(json.error).toMatchObject({ type: 'invalid_request_error', code: 'account_deactivated' });
        expect(status).toBe(401);
      }, 2_000);
    }
  });

  it('C-144 answers 403 model_not_allowed for a model that the key may not use', async () => {
    const { key } = await bench.openKey({ allowedModels: [DEAR] });
    const { status, json } = await bench.chat({}, { key });
    expect(json.error).toMatchObject({ code: 'model_not_allowed', param: 'model' });
    expect(status).toBe(403);
  });

  it('C-145 answers 404 model_not_found, with param null, for an unknown model', async () => {
    const { status, json } = await bench.chat({ model: 'gpt-none' });
    expect(json.error).toEqual({
      message: 'The model `gpt-none` does not exist or you do not have access to it.',
      type: 'invalid_request_error',
      param: null,
      code: 'model_not_found',
    });
    expect(status).toBe(404);
  });

  it.each([
    ['GET', '/v1/chat/completions', 'POST'],
    ['DELETE', '/v1/embeddings', 'POST'],
    ['PUT', '/v1/completions', 'POST'],
    ['POST', '/v1/models', 'GET'],
    ['PATCH', `/v1/models/${MODEL}`, 'GET'],
    ['POST', '/v1/dashboard/billing/usage', 'GET'],
  ])('C-146 answers 405 with the allowed methods: %s %s', async (method, path, allowed) => {
    const { status, json, headers } = await bench.ask({ method, path });
    expect(json.error).toMatchObject({
      type: 'invalid_request_error',
      code: 'method_not_supported',
      param: null,
    });
    expect(status).toBe(405);
    expect(headers.allow?.split(/, ?/)).toContain(allowed);
  });

  it.each(['', '{', '[]', '"text"', 'null', '{"model":"x",}', '\u0000', '{"a":1} trailing'])(
    'C-147 answers 400 for the body %j: it is no JSON object',
    async (body) => {
      const { status, json } = await bench.ask({ headers: [['Content-Type', 'application/json']], body });
      expect(json.error).toMatchObject({ type: 'invalid_request_error', code: null, param: null });
      expect(json.error.message).toMatch(/^We could not parse the JSON body of your request\./);
      expect(status).toBe(400);
    },
  );

  it.each(['text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'nonsense'])(
    'C-148 answers 400, not 415, for the content type %s',
    async (type) => {
      const { status, json } = await bench.ask({
        headers: [['Content-Type', type]],
        body: JSON.stringify(chatBody()),
      });
      expect(json.error).toMatchObject({ type: 'invalid_request_error', code: 'unsupported_content_type' });
      expect(json.error.message).toMatch(/^Unsupported content type: '.*'\. This API method only accepts/);
      expect(status).toBe(400);
    },
  );

  it('C-149 hands on that the context is too long, with its code and its words', async () => {
    const message =
      "This model's maximum context length is 8192 tokens. However, your messages resulted in 11433 tokens.";
    const { status, json } = await refusedBy(400, {
      message,
      type: 'invalid_request_error',
      param: 'messages',
      code: 'context_length_exceeded',
    });
    expect(json.error).toEqual({
      message,
      type: 'invalid_request_error',
      param: 'messages',
      code: 'context_length_exceeded',
    });
    expect(status).toBe(400);
  });

  it('C-150 answers 413 for a body of more than 32 MiB, with and without a length', async () => {
    const head: RawRequest['headers'] = [
      ['Authorization', `Bearer ${bench.key}`],
      ['Content-Type', 'application/json'],
    ];
    const mebibyte = Buffer.alloc(1024 * 1024, 'a');
    const announced = await bench.ask({ headers: [...head, ['Content-Length', '33554433']], body: '{' });
    const sent = await bench.ask({ headers: head, chunks: Array.from({ length: 33 }, () => mebibyte) });
    for (const { status, json } of [announced, sent]) {
      expect(json.error).toMatchObject({ type: 'invalid_request_error', code: 'request_too_large' });
      expect(status).toBe(413);
    }
  });

  it.each(['content_filter', 'content_policy_violation'])(
    'C-151 hands on that the policy of the provider forbids it: %s',
    async (code) => {
      const { status, json } = await refusedBy(400, { code, param: 'messages' });
      expect(json.error).toMatchObject({ type: 'invalid_request_error', code, param: 'messages' });
      expect(status).toBe(400);
    },
  );

  it('C-152 answers 429 insufficient_quota where the balance does not reach, not to be tried again', async () => {
    const poor = await bench.openAccount('0');
    for (const members of [{}, { stream: true }]) {
      const { status, json, headers } = await bench.chat(members, { key: poor.apiKey });
      expect(json.error).toMatchObject({
        type: 'insufficient_quota',
        code: 'insufficient_quota',
        param: null,
        reason: 'credit_balance_exhausted',
      });
      expect(json.error.message).toMatch(
        /^You exceeded your current quota, please check your plan and billing details\./,
      );
      expect(status).toBe(429);
      expect(headers['x-should-retry']).toBe('false');
      expect(headers).not.toHaveProperty('retry-after');
    }
    expect(bench.upstream.calls).toEqual([]);
  });

  it('C-153 answers 429 rate_limit_exceeded where every deployment is busy, with the least retry-after', async () => {
    const busy = (seconds: string) =>
      says(
        { error: { message: CANARY, type: 'tokens' } },
        { status: 429, headers: { 'retry-after': seconds } },
      );
    bench.upstream.answerNext(busy('7'), busy('30'));
    const { status, json, headers } = await bench.chat({ model: TWICE });
    expect(bench.upstream.calls).toHaveLength(2);
    expect(json.error).toMatchObject({ type: 'requests', code: 'rate_limit_exceeded', param: null });
    expect(status).toBe(429);
    expect(headers['retry-after']).toBe('7');
    bench.upstream.answer(busy('86400'));
    expect((await bench.chat()).headers['retry-after']).toBe('60');
  });

  it.each([
    [401, { code: 'invalid_api_key' }],
    [402, {}],
    [403, {}],
    [429, { code: 'insufficient_quota', type: 'insufficient_quota' }],
    [400, { code: 'Arrearage' }],
  ])('C-154 answers 502 where the operator has to mend it: %s %j', async (status, error) => {
    const answer = await refusedBy(status, { message: CANARY, ...error });
    expect(answer.json.error).toMatchObject({ type: 'server_error', code: 'upstream_error', param: null });
    expect(answer.status).toBe(502);
    expect(answer.headers['x-should-retry']).toBe('false');
  });

  it.each([500, 501, 502, 504, 520, 301, 418, 409, 408])(
    'C-155 answers 502 where the upstream breaks with %s',
    async (status) => {
      bench.upstream.answer(breaks(status));
      const { json, status: answered, headers } = await bench.chat();
      expect(json.error).toMatchObject({ type: 'server_error', code: 'upstream_error', param: null });
      expect(answered).toBe(502);
      expect(headers).not.toHaveProperty('x-should-retry');
    },
  );

  it('C-156 answers 504 where the upstream takes too long, by its deployment or the client', async () => {
    bench.upstream.answer(async (response, call) => {
      await new Promise((resolve) => setTimeout(resolve, 1_800));
      return says(chatAnswer())(response, call);
    });
    const byDeployment = await bench.chat({ model: IMPATIENT });
    const byClient = await bench.chat({}, { headers: [['X-Stainless-Timeout', '1']] });
    for (const { status, json } of [byDeployment, byClient]) {
      expect(json.error).toMatchObject({ type: 'server_error', code: 'upstream_timeout', param: null });
      expect(status).toBe(504);
    }
  });

  it.each([503, 529])('C-157 answers 503 server_is_overloaded where the upstream is: %s', async (status) => {
    bench.upstream.answer(breaks(status));
    const { json, status: answered, headers } = await bench.chat();
    expect(json.error).toMatchObject({ type: 'service_unavailable_error', code: 'server_is_overloaded' });
    expect(answered).toBe(503);
    expect(headers['retry-after']).toBe('5');
  });

  it('C-158 answers 502 where the upstream cannot be reached or breaks the connection', async () => {
    const down = await bench.chat({ model: DOWN });
    bench.upstream.answer((response) => {
      response.socket?.resetAndDestroy();
    });
    for (const { status, json } of [down, await bench.chat()]) {
      expect(json.error).toMatchObject({ type: 'server_error', code: 'upstream_error' });
      expect(status).toBe(502);
    }
  });

  it.each([400, 413, 422])(
    "C-159 tells what the caller did wrong in the upstream's cleaned words: %s",
    async (status) => {
      const { json, status: answered } = await refusedBy(status, { param: 'tools', code: 'bad_tools' });
      expect(json.error).toMatchObject({ type: 'invalid_request_error', param: 'tools', code: 'bad_tools' });
      expect(json.error.message).toMatch(/^Refused: key \*\*\* of organization \*\*\*/);
      expect(answered).toBe(status);
      const telltale = await refusedBy(status, { param: `org-${CANARY}`, code: `sk-${CANARY}0123` });
      expect(telltale.json.error).toMatchObject({ param: null, code: null });
    },
  );

  it.each([
    [{ detail: [{ loc: ['body'], msg: 'bad' }] }],
    [{ object: 'error', message: 'bad', type: 'BadRequestError', param: null, code: 400 }],
    [{ code: 'x', message: 'bad', request_id: `req_${CANARY}` }],
    [{ error: 'bad' }],
    ['<html>bad</html>'],
    [''],
  ])('C-160 makes an envelope of any refusal: %j', async (body) => {
    bench.upstream.answer(says(body, { status: 400 }));
    const { status, json } = await bench.chat();
    expect(json.error.type).toBe('invalid_request_error');
    expect(status).toBe(400);
  });

  it('C-161 tries another deployment where one breaks, and charges only the one that answers', async () => {
    bench.upstream.answerNext(breaks(500));
    const { status, requestId } = await bench.chat({ model: TWICE });
    expect(status).toBe(200);
    expect(bench.upstream.calls).toHaveLength(2);
    expect(await bench.usageOf(requestId)).toMatchObject({ cost: '27000' });
  });

  it('C-162 refuses in the order of the contract: the earliest of several faults is told', async () => {
    const { key } = await bench.openKey({ allowedModels: [] });
    const poor = await bench.openAccount('0');
    const faults = [
      { path: '/v1/nothing', key: 'sk-wrong', body: '{', type: 'text/plain', code: 'invalid_api_key' },
      { path: '/v1/nothing', key: bench.key, body: '{', type: 'text/plain', code: 'unknown_url' },
      {
        path: '/v1/chat/completions',
        key: bench.key,
        body: '{',
        type: 'text/plain',
        code: 'unsupported_content_type',
      },
      { path: '/v1/chat/completions', key: bench.key, body: '{', type: 'application/json', code: null },
      {
        path: '/v1/chat/completions',
        key,
        body: JSON.stringify({ model: 'x' }),
        type: 'application/json',
        code: 'missing_required_parameter',
      },
      {
        path: '/v1/chat/completions',
        key,
        body: JSON.stringify(chatBody()),
        type: 'application/json',
        code: 'model_not_allowed',
      },
      {
        path: '/v1/chat/completions',
        key: poor.apiKey,
        body: JSON.stringify(chatBody({ model: 'x' })),
        type: 'application/json',
        code: 'model_not_found',
      },
      {
        path: '/v1/chat/completions',
        key: poor.apiKey,
        body: JSON.stringify(chatBody()),
        type: 'application/json',
        code: 'insufficient_quota',
      },
    ];
    for (const { type, code, ...ask } of faults) {
      const { json } = await bench.ask({ ...ask, headers: [['Content-Type', type]] });
      expect(json.error.code).toBe(code);
    }
  });

  it('C-163 answers what is no HTTP with an envelope too', async () => {
    for (const [bytes, status] of [
      ['NONSENSE\r\n\r\n', 400],
      ['GET /v1/models HTTP/1.1\r\nbad header\r\n\r\n', 400],
      [
        `POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nAuthorization: Bearer ${bench.key}\r\nContent-Type: application/json\r\n\r\nzz\r\n`,
        400,
      ],
      [`GET /v1/models HTTP/1.1\r\nHost: a\r\nX-Long: ${'a'.repeat(40_000)}\r\n\r\n`, 431],
    ] as const) {
      const socket = open(bench.installation.gatewayUrl);
      socket.write(bytes);
      const answer = await readAnswer(socket);
      expect(answer.status).toBe(status);
      if (bench.installation.isProxied && isProxysOwn(answer)) continue;
      bench.record(answer, { path: '(no HTTP)' });
    }
  });

  it.each([
    '/v1/models/%',
    '/v1/%ff',
    '/v1/models/%00',
    `/v1/models/${'a'.repeat(600)}`,
    '/v1/../etc/passwd',
    '*',
  ])('C-164 answers 404 for a path that cannot be: %.30s', async (path) => {
    expect((await bench.get(path)).status).toBe(404);
  });

  it('C-165 answers 502 for an event of more than 8 MiB, and goes on serving', async () => {
    bench.upstream.answer((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`data: ${'a'.repeat(9 * 1024 * 1024)}\n\n`);
    });
    expect((await bench.chat({ stream: true })).status).toBe(502);
    bench.upstream.reset();
    expect((await bench.chat()).status).toBe(200);
  });

  it('C-166 answers 400 for a body that is nested too deeply to be forwarded', async () => {
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    for (const body of [
      `{"model":"${MODEL}","messages":[{"role":"user","content":"hi"}],"extra":${deep}}`,
      `{"model":"${MODEL}","messages":[{"role":"user","content":"hi","extra":${deep}}]}`,
      `{"model":"${MODEL}","messages":[{"role":"user","content":"hi"}],"tools":[${deep}]}`,
    ]) {
      const { status, json } = await bench.ask({ headers: [['Content-Type', 'application/json']], body });
      expect(json.error).toMatchObject({ type: 'invalid_request_error', code: 'invalid_value' });
      expect(status).toBe(400);
    }
  });
});
