import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { eventually, startFakeUpstream, type FakeUpstream } from '@tollgate/testing';
import { startAdmin, type AdminUnderTest, type Answer } from '../admin.spec-kit.js';
import { deploymentTestSchema } from './deployment-test.schema.js';

// Real: the upstream, on a socket of its own.

const SECRET = 'up"stream\\secret/canary';

let admin: AdminUnderTest;
let upstream: FakeUpstream;
beforeAll(async () => {
  admin = await startAdmin();
  upstream = await startFakeUpstream({ secret: SECRET });
  for (const id of ['first', 'second']) await admin.call('POST', '/models', { body: { id } });
});
afterAll(async () => {
  await upstream.stop();
  await admin.stop();
});
afterEach(() => upstream.reset());

async function create(fields: Record<string, unknown> = {}): Promise<string> {
  const { status, body } = await admin.call('POST', '/deployments', {
    body: {
      name: randomUUID(),
      baseUrl: upstream.baseUrl,
      credential: SECRET,
      models: [
        { model: 'second', priority: 1 },
        { model: 'first', upstreamModel: 'first-2026', priority: 5 },
      ],
      ...fields,
    },
  });
  expect(status).toBe(201);
  return `/deployments/${body.id}`;
}

async function test(path: string, body?: unknown): Promise<Answer> {
  return admin.call('POST', `${path}/test`, body === undefined ? {} : { body });
}

/** A server that says these bytes to whoever connects. */
async function startTeller(bytes: string): Promise<{ server: Server; baseUrl: string }> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(bytes));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { server, baseUrl: `http://127.0.0.1:${address.port}/v1` };
}

describe('POST /deployments/{id}/test', () => {
  it('sends one small chat with the stored credential, and writes who did so to the audit log', async () => {
    const path = await create();
    const { status, headers, body } = await test(path);
    expect(status).toBe(200);
    expect(deploymentTestSchema.parse(body)).toEqual({
      ok: true,
      api: 'chat',
      model: 'first',
      upstreamModel: 'first-2026',
      status: 200,
      latencyMs: expect.any(Number),
      error: null,
    });
    const [delivery, ...more] = await upstream.deliveries();
    expect(more).toEqual([]);
    expect(delivery).toMatchObject({
      path: '/v1/chat/completions',
      requestId: headers['x-request-id'],
      body: { model: 'first-2026', max_tokens: 16 },
    });
    const { body: audit } = await admin.call('GET', `/audit?target=deployment/${path.slice(13)}`);
    expect(audit.data[0]).toMatchObject({ action: 'deployment.test', before: null, after: body });
  });

  it('takes the model and the API that are asked for, whether the deployment is active or not', async () => {
    const path = await create({ status: 'disabled' });
    const { body } = await test(path, { model: 'second', api: 'embeddings' });
    expect(body).toMatchObject({ ok: true, api: 'embeddings', model: 'second', upstreamModel: 'second' });
    expect(await upstream.deliveries()).toMatchObject([
      { path: '/v1/embeddings', body: { model: 'second' } },
    ]);
  });

  it('asks for embeddings where the deployment has nothing else', async () => {
    const { body } = await test(await create({ apis: ['images', 'embeddings'] }), {});
    expect(body).toMatchObject({ ok: true, api: 'embeddings' });
  });

  it('caps the output of a reasoning model by the parameter that it takes', async () => {
    await test(await create({ models: [{ model: 'first', upstreamModel: 'gpt-5-mini' }] }));
    const [delivery] = await upstream.deliveries();
    expect(delivery?.body).toMatchObject({ max_completion_tokens: 16 });
    expect(delivery?.body).not.toHaveProperty('max_tokens');
  });

  it.each([
    ['unauthorized', 401, {}],
    ['unauthorized', 403, {}],
    ['not_found', 404, {}],
    ['rate_limited', 429, {}],
    ['upstream_error', 400, { errorBody: { error: { message: 'no such parameter' } } }],
    ['upstream_error', 500, { errorBody: '<html>oops</html>' }],
    ['not_openai', 200, { fault: 'broken_json' as const }],
    ['upstream_error', 200, { finishReason: 'error' }],
  ])('says %s of status %i', async (kind, status, behaviour) => {
    await upstream.behave({ status, ...behaviour });
    const { body } = await test(await create());
    expect(deploymentTestSchema.parse(body)).toMatchObject({ ok: false, status, error: { kind } });
    if (status === 400) expect(body.error.message).toContain('no such parameter');
  });

  it('says unauthorized where the credential is another, and none where none is stored', async () => {
    for (const credential of ['sk-wrong', null]) {
      const { body } = await test(await create({ credential }));
      expect(body).toMatchObject({ ok: false, status: 401, error: { kind: 'unauthorized' } });
    }
  });

  it('never follows a redirect', async () => {
    const elsewhere = await startFakeUpstream();
    await upstream.behave({ status: 307, headers: { location: `${elsewhere.baseUrl}/chat/completions` } });
    const { body } = await test(await create());
    expect(body).toMatchObject({ ok: false, status: 307, error: { kind: 'not_openai' } });
    expect(await elsewhere.deliveries()).toEqual([]);
    await elsewhere.stop();
  });

  it.each([
    ['plain', JSON.stringify(SECRET).slice(1, -1)],
    ['escaped', [...SECRET].map((letter) => `\\u00${letter.charCodeAt(0).toString(16)}`).join('')],
  ])('never shows the credential that an upstream says back: %s', async (_, echoed) => {
    // Where messages are cut, too: half of a credential is no better.
    for (const padding of [0, 285, 990]) {
      const message = `${'x'.repeat(padding)}${echoed}`;
      await upstream.behave({ status: 400, errorBody: `{"error":{"message":"${message}"}}` });
      const answer = await test(await create());
      expect(answer.body.error.message).toMatch(padding === 0 ? /: \*\*\*$/ : /x$|\*$/);
      expect(JSON.stringify(answer)).not.toMatch(/secret|up\\"/);
    }
    const { body: audit } = await admin.call('GET', '/audit?limit=200');
    expect(JSON.stringify(audit)).not.toContain('canary');
  });

  it('runs at most four at a time, whoever asks, and has room again when one has ended', async () => {
    await upstream.behave({ held: true });
    const path = await create();
    const running = Array.from({ length: 4 }, () => test(path));
    await eventually(async () => expect(await upstream.arrivals()).toBe(4));
    const refused = await test(path);
    expect([refused.status, refused.body.code]).toEqual([429, 'too_many_tests']);
    expect(refused.headers['retry-after']).toBe('10');
    expect(await upstream.arrivals()).toBe(4);
    await upstream.release();
    for (const { body } of await Promise.all(running)) expect(body.ok).toBe(true);
    await upstream.behave({ held: false });
    expect((await test(path)).body.ok).toBe(true);
    await admin.call('DELETE', path);
  });

  it('gives a slow upstream up', async () => {
    await upstream.behave({ held: true });
    const { body } = await test(await create());
    expect(body).toMatchObject({ ok: false, status: null, error: { kind: 'timeout' } });
    expect(body.latencyMs).toBeGreaterThan(9_900);
    expect(body.latencyMs).toBeLessThan(15_000);
  });

  it('reads no more of an answer than it may', async () => {
    await upstream.behave({ chunks: 1, chunkBytes: 1_000_000 });
    const { body } = await test(await create());
    expect(body).toMatchObject({ ok: false, error: { kind: 'not_openai' } });
    expect(body.error.message).toContain('256 KiB');
  });

  it('says connect where nobody listens or the connection breaks, and tls where it is not secure', async () => {
    await upstream.behave({ fault: 'reset_before_head' });
    expect((await test(await create())).body.error.kind).toBe('connect');
    const closed = await create({ baseUrl: 'http://127.0.0.1:1/v1' });
    expect((await test(closed)).body).toMatchObject({ status: null, error: { kind: 'connect' } });
    const secure = await create({ baseUrl: upstream.baseUrl.replace('http:', 'https:') });
    expect((await test(secure)).body.error.kind).toBe('tls');
  });

  it('says dns where the name does not resolve', async () => {
    const path = await create({ baseUrl: 'https://no-such-host.invalid/v1' });
    expect((await test(path)).body.error.kind).toBe('dns');
  });

  it('says not_openai of what is not HTTP, and of an answer that is cut short', async () => {
    const tellers = [
      ['SSH-2.0-OpenSSH_9.2\r\n', 'not_openai'],
      ['HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"choices":', 'connect'],
      ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}', 'not_openai'],
      ['HTTP/1.1 200 OK\r\ncontent-length: 34\r\n\r\n{"error":{"message":"out of gas"}} ', 'upstream_error'],
    ] as const;
    for (const [bytes, kind] of tellers) {
      const { server, baseUrl } = await startTeller(bytes);
      expect([bytes, (await test(await create({ baseUrl }))).body.error.kind]).toEqual([bytes, kind]);
      server.close();
    }
  });

  it('says so where the credential was sealed with another master key', async () => {
    const path = await create();
    await admin.owner.query(`UPDATE tollgate.deployment SET credential = 'v1.other.x.y' WHERE id = $1`, [
      path.slice(13),
    ]);
    expect((await test(path)).body.error.kind).toBe('credential_unreadable');
    expect(await upstream.deliveries()).toEqual([]);
  });

  it.each([
    ['/model', { model: 'third' }, {}],
    ['/model', {}, { models: [] }],
    ['/api', { api: 'embeddings' }, { apis: ['chat'] }],
    ['/api', {}, { apis: ['images'] }],
    ['/api', { api: 'images' }, {}],
    ['/stream', { stream: true }, {}],
  ])('points at %s where there is nothing to test: %j of %j', async (pointer, body, fields) => {
    const answer = await test(await create(fields), body);
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, pointer]);
    expect(await upstream.deliveries()).toEqual([]);
  });

  it('answers 404 for a deployment that is not there any more', async () => {
    const path = await create();
    await admin.call('DELETE', path);
    expect((await test(path)).status).toBe(404);
  });
});

describe('where private networks are denied', () => {
  it.each(['http://127.0.0.1', 'http://localhost', 'http://[::1]'])(
    'does not connect to %s, though it was saved before',
    async (origin) => {
      const path = await create();
      const baseUrl = `${origin}:${upstream.port}/v1`;
      await admin.owner.query('UPDATE tollgate.deployment SET base_url = $1 WHERE id = $2', [
        baseUrl,
        path.slice(13),
      ]);
      Object.assign(admin.config, { UPSTREAM_PRIVATE_NETWORKS: 'deny' });
      const { body } = await test(path);
      Object.assign(admin.config, { UPSTREAM_PRIVATE_NETWORKS: 'allow' });
      expect(body).toMatchObject({ ok: false, status: null, error: { kind: 'refused_address' } });
      expect(await upstream.deliveries()).toEqual([]);
    },
  );
});
