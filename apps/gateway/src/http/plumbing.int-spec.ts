import { Client } from 'pg';
import { expectAnswerHeaders, startTestGateway, type TestGateway } from './gateway.spec-kit.js';

let gateway: TestGateway;
let key: string;
let model: string;

beforeAll(async () => {
  gateway = await startTestGateway();
  ({ apiKey: key, model } = gateway.seeded);
});

afterAll(async () => {
  await gateway?.stop();
});

beforeEach(async () => {
  await gateway.upstream.reset();
});

interface Call {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  readonly key?: string | null;
}

function call(
  path: string,
  { method, headers = {}, body, key: credential = key }: Call = {},
): Promise<Response> {
  return fetch(`${gateway.baseUrl}${path}`, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    redirect: 'manual',
    headers: {
      ...(credential !== null && { authorization: `Bearer ${credential}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
}

const chat = (more: object = {}): object => ({
  model,
  messages: [{ role: 'user', content: 'hello' }],
  ...more,
});

function expectHeaders(response: Response): void {
  expectAnswerHeaders(Object.fromEntries(response.headers));
}

async function expectRefusal(
  response: Response,
  status: number,
  code: string | null,
): Promise<{ message: string }> {
  const body: any = await response.json();
  expect({ status: response.status, ...body.error }).toMatchObject({ status, code });
  expect(Object.keys(body.error).sort()).toEqual(['code', 'message', 'param', 'type']);
  expectHeaders(response);
  return body.error;
}

async function bodySent(): Promise<any> {
  const [delivery] = await gateway.upstream.deliveries();
  return delivery?.body;
}

describe('URLs', () => {
  it.each([
    '/v1/chat/completions',
    '/chat/completions',
    '/v1//chat/completions',
    '//chat/completions',
    '/v1/v1/chat/completions',
    '/v1/chat/completions/',
    '/openai/v1/chat/completions?api-version=preview',
    '/index.php/api/v1/chat/completions',
    '/api/v1/chat/completions',
    '/v1/chat/completions/v1/chat/completions',
    '/v1/chat/completions/chat/completions',
  ])('serves chat at %s, without a redirect', async (path) => {
    const response = await call(path, { body: chat() });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ object: 'chat.completion' });
    expectHeaders(response);
  });

  it.each([
    '/models',
    '/v1/v1/models',
    '//v1//models/',
    '/v1/chat/completions/models',
    '/v1/models?limit=1000',
  ])('serves models at %s', async (path) => {
    expect(await (await call(path)).json()).toMatchObject({ object: 'list', data: [{ id: model }] });
  });

  it('takes the model of a legacy path where the body has none', async () => {
    const messages = [{ role: 'user', content: 'hello' }];
    const path = `/v1/engines/${model}/chat/completions`;
    expect(await (await call(path, { body: { messages } })).json()).toMatchObject({ model });
    expect((await call('/v1/engines/nope/chat/completions', { body: chat() })).status).toBe(200);
    const refusal = await call('/v1/engines/nope/chat/completions', { body: { messages } });
    expect((await expectRefusal(refusal, 404, 'model_not_found')).message).toContain('`nope`');
  });

  it('takes the deployment of an Azure path for the model, whatever the body says', async () => {
    const query = '?api-version=2024-10-21';
    const headers = { 'api-key': key };
    for (const body of [chat(), chat({ model: 'nope' }), chat({ model: undefined })]) {
      const path = `//openai/deployments/${model}/chat/completions${query}`;
      expect(await (await call(path, { key: null, headers, body })).json()).toMatchObject({ model });
    }
    const refusal = await call(`/openai/deployments/nope/chat/completions${query}`, { body: chat() });
    await expectRefusal(refusal, 404, 'model_not_found');
  });

  it.each([
    ['/v1/engines', { object: 'engine', ready: true }],
    ['/engines', { object: 'engine' }],
    ['/openai/models?api-version=2024-10-21', { object: 'model', status: 'succeeded' }],
    ['/openai/deployments?api-version=2022-12-01', { object: 'deployment', status: 'succeeded' }],
  ])('lists models at %s in the form of its clients', async (path, expected) => {
    const list: any = await (await call(path)).json();
    expect(list).toMatchObject({ object: 'list', data: [{ id: model, ...expected }] });
    const [bare = ''] = path.split('?');
    expect(await (await call(`${bare}/${model}`)).json()).toMatchObject({ id: model, ...expected });
    await expectRefusal(await call(`${bare}/nope`), 404, 'model_not_found');
    await expectRefusal(await call(path, { key: null }), 401, null);
  });

  it.each(['HEAD', 'GET'])('answers %s / with 200 to anybody', async (method) => {
    const response = await call('/', { method, key: null });
    expect(response.status).toBe(200);
    expectHeaders(response);
  });

  it('answers HEAD wherever it answers GET', async () => {
    const response = await call('/v1/models', { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([200, '']);
  });

  it.each([
    ['/v1/nothing', 'POST', 404, 'unknown_url'],
    ['/v1/models/%zz', 'GET', 404, 'unknown_url'],
    [`/v1/models/${'m'.repeat(600)}`, 'GET', 404, 'model_not_found'],
    [`/v1/generations/${'g'.repeat(600)}`, 'GET', 404, 'unknown_url'],
    ['/v1/chat/completions', 'GET', 405, 'method_not_supported'],
    ['/v1/chat/completions', 'PROPFIND', 405, 'method_not_supported'],
    ['/v1/models', 'DELETE', 405, 'method_not_supported'],
    ['/chat/completions', 'PUT', 405, 'method_not_supported'],
    ['/v1/engines/x/edits', 'POST', 404, 'unknown_url'],
  ])('refuses %.40s by %s', async (path, method, status, code) => {
    const response = await call(path, { method });
    const allow = response.headers.get('allow');
    expect(allow === null).toBe(status !== 405);
    await expectRefusal(response, status, code);
  });

  it('names the URL as it was sent, without its query', async () => {
    const response = await call('//nothing//here?key=sk-secret', { method: 'POST', body: {} });
    const { message } = await expectRefusal(response, 404, 'unknown_url');
    expect(message).toBe('Invalid URL (POST //nothing//here)');
  });

  it('asks for a key before it tells whether a path exists', async () => {
    await expectRefusal(await call('/v1/nothing', { key: null }), 401, null);
    await expectRefusal(await call('/nothing', { key: null }), 404, 'unknown_url');
  });
});

describe('credentials', () => {
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

  it('are taken from every place of the head', async () => {
    const places: Record<string, string>[] = [
      { authorization: `  bearer   ${key}` },
      { authorization: key },
      { authorization: basic(`anybody:${key}`) },
      { 'api-key': key },
      { 'API-KEY': key },
      { 'x-api-key': key },
      { 'x-goog-api-key': key },
      { 'sec-websocket-protocol': `realtime, openai-insecure-api-key.${key}` },
      { authorization: 'Bearer ', 'api-key': '', 'x-api-key': key },
      { authorization: 'Bearer sk-wrong', 'x-api-key': key },
      { authorization: `Bearer ${key}`, 'x-api-key': 'sk-wrong' },
    ];
    for (const headers of places) expect((await call('/v1/models', { key: null, headers })).status).toBe(200);
  });

  it('in the query count under /v1beta alone', async () => {
    await expectRefusal(await call(`/v1/models?key=${key}`, { key: null }), 401, null);
    await expectRefusal(await call(`/v1beta/models?key=${key}`, { key: null }), 404, 'unknown_url');
    await expectRefusal(await call('/v1beta/models?key=sk-wrong', { key: null }), 401, 'invalid_api_key');
  });

  it('are taken from the body, and out of it, where the head has none', async () => {
    const body = chat({ api_secret_key: key, user: 'x' });
    for (const path of ['/v1/chat/completions', '/index.php/api/v1/chat/completions']) {
      await gateway.upstream.reset();
      const response = await call(path, { key: null, headers: { authorization: '' }, body });
      expect(response.status).toBe(200);
      expect(JSON.stringify(await bodySent())).not.toContain(key);
      expect(await bodySent()).toMatchObject({ user: 'x' });
      expect(await bodySent()).not.toHaveProperty('api_secret_key');
      expectHeaders(response);
    }
  });

  it('in the body never reach anybody where the head has one', async () => {
    const response = await call('/v1/chat/completions', { body: chat({ api_secret_key: 'sk-other' }) });
    expect(response.status).toBe(200);
    expect(await bodySent()).not.toHaveProperty('api_secret_key');
  });

  it('in the body do not help where the head has a wrong one', async () => {
    const response = await call('/v1/chat/completions', {
      key: 'sk-wrong',
      body: chat({ api_secret_key: key }),
    });
    await expectRefusal(response, 401, 'invalid_api_key');
  });

  it.each([
    ['an empty key', { api_secret_key: '' }],
    ['no key', {}],
    ['a key in more than 64 KiB', { user: 'x'.repeat(70_000), api_secret_key: 'sk-1' }],
  ])('are missed in a body with %s', async (_what, more) => {
    const response = await call('/v1/chat/completions', { key: null, body: chat(more) });
    await expectRefusal(response, 401, null);
    expect(await gateway.upstream.arrivals()).toBe(0);
  });

  // Their statuses are their dialect's business.
  it('in the body are refused like others, and shown no more of', async () => {
    const body = chat({ api_secret_key: 'sk-abcdefghijkl' });
    const response = await call('/v1/chat/completions', { key: null, body });
    const { error }: any = await response.json();
    expect(error).toMatchObject({ code: 'invalid_api_key' });
    expect(error.message).toContain('sk-****ijkl');
    expectHeaders(response);
    expect(await gateway.upstream.arrivals()).toBe(0);
  });

  it.each(['not json', '[]', '{"api_secret_key":', ''])(
    'are missed before %j is found to be no JSON',
    async (body) => {
      await expectRefusal(await call('/v1/chat/completions', { key: null, body }), 401, null);
    },
  );

  it('of suspended accounts are refused in the body too', async () => {
    const other = await gateway.seed({});
    const owner = new Client({ connectionString: gateway.database.ownerUrl });
    await owner.connect();
    await owner.query("UPDATE tollgate.account SET status = 'suspended' WHERE id = $1", [other.accountId]);
    await owner.end();
    const body = chat({ api_secret_key: other.apiKey });
    const { error }: any = await (await call('/v1/chat/completions', { key: null, body })).json();
    expect(error).toMatchObject({ code: 'account_deactivated' });
  });
});

describe('browsers', () => {
  const origin = 'https://app.example';

  it.each(['/v1/chat/completions', '/v1/models/a%zz', '/chat/completions', '/nothing', '/', '/health/live'])(
    'may ask what they may send to %s without a key',
    async (path) => {
      const response = await call(path, {
        method: 'OPTIONS',
        key: null,
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,x-stainless-os',
        },
      });
      expect([response.status, await response.text()]).toEqual([204, '']);
      expect(response.headers.get('access-control-allow-headers')).toBe('authorization,x-stainless-os');
      expect(response.headers.get('access-control-allow-methods')).toBe('GET,POST,DELETE,PUT,PATCH,OPTIONS');
      expect(response.headers.get('access-control-max-age')).toBe('86400');
      expect(response.headers.get('vary')).toBe('Origin, Access-Control-Request-Headers');
      expectHeaders(response);
    },
  );

  it('may read every answer: plain, streamed and refused', async () => {
    const headers = { origin };
    for (const stream of [false, true]) {
      const response = await call('/v1/chat/completions', { headers, body: chat({ stream }) });
      expect(response.status).toBe(200);
      expectHeaders(response);
      expect(response.headers.get('openai-organization')).toBe(gateway.seeded.accountId);
      await response.text();
    }
    await expectRefusal(
      await call('/v1/chat/completions', { headers, body: {} }),
      400,
      'missing_required_parameter',
    );
    await expectRefusal(await call('/v1/models', { headers, key: null }), 401, null);
  });

  it('are not made to ask for a password; other clients are told how to authenticate', async () => {
    const plain = await call('/v1/models', { key: null });
    expect(plain.headers.get('www-authenticate')).toBe('Bearer');
    const signs: Record<string, string>[] = [{ origin }, { 'sec-fetch-site': 'none' }];
    for (const headers of signs) {
      const response = await call('/v1/models', { key: null, headers });
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, null]);
    }
  });
});

describe('headers of answers', () => {
  it('tell the account of a caller, and of nobody else', async () => {
    const known = await call('/v1/models');
    expect(known.headers.get('openai-organization')).toBe(gateway.seeded.accountId);
    const stranger = await call('/v1/models', { key: 'sk-wrong' });
    expect(stranger.headers.get('openai-organization')).toBeNull();
  });

  it('count the milliseconds until the head', async () => {
    await gateway.upstream.behave({ delayMs: 120 });
    for (const stream of [false, true]) {
      const response = await call('/v1/chat/completions', { body: chat({ stream }) });
      await response.text();
      const processingMs = Number(response.headers.get('openai-processing-ms'));
      expect(processingMs).toBeGreaterThanOrEqual(115);
    }
  });

  it('stand on answers about health too', async () => {
    expectHeaders(await call('/health/live', { key: null }));
  });

  it('are not disturbed by what clients say of themselves', async () => {
    const response = await call('/v1/models', {
      headers: {
        'openai-organization': '',
        'openai-project': 'proj_unknown',
        'x-client-request-id': 'x'.repeat(2_000),
        'x-request-id': 'mine',
      },
    });
    expect(response.status).toBe(200);
    expectHeaders(response);
  });
});
