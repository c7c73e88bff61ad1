import { ConformanceBench, MODEL, chatBody, type Ask } from './conformance-bench.js';

let bench: ConformanceBench;

beforeAll(async () => {
  bench = await ConformanceBench.start();
});

afterEach(() => bench.audit());
afterAll(() => bench?.close());

function post(path: string, ask: Ask = {}) {
  return bench.ask({ json: chatBody(), ...ask, path });
}

/** A request whose only credential is in these headers. */
function withHeaders(...headers: (readonly [string, string])[]) {
  return bench.ask({ json: chatBody(), key: null, headers });
}

function expectChat(answer: { status: number; json: any }): void {
  expect(answer.json).toMatchObject({ object: 'chat.completion' });
  expect(answer.status).toBe(200);
}

describe('url-forms', () => {
  it.each([
    ['C-001', '/v1/chat/completions'],
    ['C-002', '/chat/completions'],
    ['C-003', '/v1//chat/completions'],
    ['C-003', '//chat/completions'],
    ['C-003', '//v1///chat//completions'],
    ['C-004', '/v1/chat/completions/'],
    ['C-005', '/v1/v1/chat/completions'],
    ['C-005', '/v1/v1/v1/chat/completions'],
    ['C-006', '/index.php/api/v1/chat/completions'],
    ['C-006', '/api/v1/chat/completions'],
    ['C-006', '/openai/v1/chat/completions'],
    ['C-007', '/v1/chat/completions/v1/chat/completions'],
    ['C-007', '/v1/chat/completions/chat/completions'],
    ['C-014', '/v1/chat/completions?beta=true&api-version=2024-06-01'],
  ])('%s serves a chat request at %s', async (_id, path) => {
    expectChat(await post(path));
  });

  it('C-007 takes the last of two endpoints in a path: a list of models below chat completions', async () => {
    expect((await bench.get('/v1/chat/completions/models')).json).toMatchObject({ object: 'list' });
  });

  it('C-008 takes the model from the path of a legacy engine, without one in the body', async () => {
    const { json, status } = await post(`/v1/engines/${MODEL}/chat/completions`, {
      json: chatBody({ model: undefined }),
    });
    expect(json).toMatchObject({ object: 'chat.completion', model: MODEL });
    expect(status).toBe(200);
    const text = await post(`/v1/engines/${MODEL}/completions`, { json: { prompt: 'hi' } });
    expect(text.json).toMatchObject({ object: 'text_completion', model: MODEL });
    const list = await post(`/v1/engines/${MODEL}/embeddings`, { json: { input: 'hi' } });
    expect(list.json).toMatchObject({ object: 'list', model: MODEL });
    expect(bench.upstream.calls.every(({ body }) => !('engine' in body))).toBe(true);
  });

  it.each(['chat/completions', 'completions', 'embeddings'])(
    "C-009 serves Azure's path of a deployment with its api-version and api-key: %s",
    async (operation) => {
      const { json, status } = await bench.ask({
        path: `//openai/deployments/${MODEL}/${operation}?api-version=2024-06-01`,
        key: null,
        headers: [['api-key', bench.key]],
        json: { messages: [{ role: 'user', content: 'hi' }], prompt: 'hi', input: 'hi' },
      });
      expect(json).toMatchObject({ model: MODEL });
      expect(status).toBe(200);
    },
  );

  it("C-010 lists the models below Azure's path", async () => {
    const { json } = await bench.get('/openai/models?api-version=2024-06-01');
    expect(json).toMatchObject({ object: 'list' });
    expect(json.data.map(({ id }: any) => id)).toContain(MODEL);
  });

  it('C-011 answers every form at once, never by a redirect', async () => {
    for (const path of [
      '/chat/completions/',
      '//v1/models',
      '/v1/v1/models/',
      '/openai/models',
      '/models//',
    ]) {
      const { status } = await bench.get(path);
      expect([path, status < 300 || status >= 400]).toEqual([path, true]);
    }
  });

  it('C-012 answers HEAD / with 200, without a key', async () => {
    expect((await bench.get('/', { method: 'HEAD', key: null })).status).toBe(200);
  });

  it.each([
    ['/models', 'list'],
    ['/embeddings', 'list'],
    ['/completions', 'text_completion'],
    ['/dashboard/billing/subscription', 'billing_subscription'],
    [`/engines/${MODEL}`, 'engine'],
  ])('C-013 puts /v1 before a path that begins with a known resource: %s', async (path, object) => {
    const isPost = path === '/embeddings' || path === '/completions';
    const { json } = isPost
      ? await post(path, { json: { model: MODEL, input: 'hi', prompt: 'hi' } })
      : await bench.get(path);
    expect(json).toMatchObject({ object });
  });

  it.each([
    '/v1/foo',
    '/foo/bar',
    '/v1/organization/usage',
    '/v1/agents',
    '/v1/chat',
    '/v2/chat/completions',
  ])('C-015 answers 404 unknown_url with the method and the path for %s', async (path) => {
    const { status, json } = await post(path);
    expect(json.error).toMatchObject({ type: 'invalid_request_error', code: 'unknown_url', param: null });
    expect(json.error.message).toMatch(/^Invalid URL \(POST .*\)/);
    expect(status).toBe(404);
  });
});

describe('credentials', () => {
  it.each(['Bearer', 'bearer', 'BEARER'])(
    'C-020 takes the key after %s, with any blanks around it',
    async (scheme) => {
      expectChat(await withHeaders(['Authorization', `${scheme} ${bench.key}`]));
      expectChat(await withHeaders(['Authorization', `  ${scheme}   ${bench.key}  `]));
    },
  );

  it('C-021 takes a bare key without a scheme', async () => {
    expectChat(await withHeaders(['Authorization', bench.key]));
  });

  it('C-022 takes the password of Basic, whoever the user is', async () => {
    for (const user of ['', 'anybody']) {
      const basic = Buffer.from(`${user}:${bench.key}`).toString('base64');
      expectChat(await withHeaders(['Authorization', `Basic ${basic}`]));
    }
  });

  it.each([
    ['C-023', 'api-key'],
    ['C-024', 'x-api-key'],
    ['C-027', 'x-goog-api-key'],
  ])('%s takes the header %s', async (_id, name) => {
    expectChat(await withHeaders([name, bench.key]));
  });

  it('C-025 takes the first credential that is an active key', async () => {
    expectChat(await withHeaders(['Authorization', 'Bearer sk-wrong'], ['api-key', bench.key]));
    expectChat(await withHeaders(['x-api-key', 'sk-wrong'], ['Authorization', `Bearer ${bench.key}`]));
    const off = await bench.openKey({});
    await bench.admin.post('/accounts', { name: 'another' });
    expectChat(await withHeaders(['Authorization', `Bearer ${off.key}x`], ['x-api-key', off.key]));
  });

  it('C-026 takes empty credentials for absent ones', async () => {
    expectChat(await withHeaders(['api-key', ''], ['Authorization', `Bearer ${bench.key}`]));
    expectChat(await withHeaders(['Authorization', ''], ['x-api-key', bench.key]));
    expectChat(await withHeaders(['Authorization', 'Bearer '], ['x-api-key', bench.key]));
    expect((await withHeaders(['Authorization', 'Bearer '], ['api-key', ' '])).json.error.message).toMatch(
      /^You didn't provide an API key/,
    );
  });

  it('C-028 takes the key out of the WebSocket protocols that browsers send', async () => {
    const protocols = `realtime, openai-insecure-api-key.${bench.key}, openai-beta.realtime-v1`;
    expectChat(await withHeaders(['Sec-WebSocket-Protocol', protocols]));
  });

  it('C-029 takes api_secret_key of the body where nothing else is given, and forwards it to nobody', async () => {
    const legacy = await bench.ask({ key: null, json: chatBody({ api_secret_key: bench.key }) });
    expect(legacy.status).toBe(200);
    expect(bench.upstream.lastCall.body).not.toHaveProperty('api_secret_key');
    const form = new URLSearchParams({
      api_secret_key: bench.key,
      model: MODEL,
      messages: JSON.stringify([{ role: 'user', content: 'hi' }]),
    });
    const asForm = await bench.ask({
      path: '/index.php/api/v1/chat/completions',
      key: null,
      headers: [['Content-Type', 'application/x-www-form-urlencoded']],
      body: form.toString(),
    });
    expect(asForm.status).toBe(200);
    const beside = await bench.chat({ api_secret_key: 'sk-whatever' });
    expect(beside.status).toBe(200);
    expect(bench.upstream.lastCall.body).not.toHaveProperty('api_secret_key');
  });

  it('C-030 shows no more of a key than its first three and last four characters', async () => {
    const key = 'sk-verysecretverysecretverysecret-tail';
    for (const header of [
      ['Authorization', `Bearer ${key}`],
      ['x-api-key', key],
    ] as const) {
      const { text } = await withHeaders(header);
      expect(text).toContain('sk-****tail');
      expect(text).not.toMatch(/secret/);
    }
  });

  it('C-031 takes any organisation and project, empty ones too, and forwards none', async () => {
    for (const value of ['', 'org-unknown']) {
      const headers = [
        ['OpenAI-Organization', value],
        ['OpenAI-Project', value],
      ] as const;
      expectChat(await bench.chat({}, { headers }));
      const { headers: forwarded } = bench.upstream.lastCall;
      expect(Object.keys(forwarded)).not.toContain('openai-organization');
      expect(Object.keys(forwarded)).not.toContain('openai-project');
    }
  });

  it('C-032 sends the upstream its own credential and none of the client', async () => {
    expectChat(
      await bench.chat(
        {},
        {
          headers: [
            ['api-key', bench.key],
            ['x-api-key', bench.key],
            ['Cookie', 'a=b'],
          ],
        },
      ),
    );
    const { headers } = bench.upstream.lastCall;
    expect(JSON.stringify(headers)).not.toContain(bench.key);
    expect(headers.authorization).toMatch(/^Bearer sk-.*-credential$/);
    expect(headers).not.toHaveProperty('cookie');
  });

  it('C-033 answers 401 before a body is there', async () => {
    const { status, json } = await bench.ask({
      key: 'sk-wrong',
      headers: [
        ['Content-Type', 'application/json'],
        ['Content-Length', '1000000'],
      ],
      body: '{',
    });
    expect(json.error.code).toBe('invalid_api_key');
    expect(status).toBe(401);
  });
});
