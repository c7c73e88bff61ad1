import { connect } from 'node:net';
import { startAdmin, type AdminUnderTest } from '../admin.spec-kit.js';

let admin: AdminUnderTest;
let port: number;
beforeAll(async () => {
  admin = await startAdmin();
  await admin.app.listen(0, '127.0.0.1');
  port = Number(new URL(await admin.app.getUrl()).port);
});
afterAll(() => admin.stop());

interface RawAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Sends bytes as they are and reads until the server closes. */
async function send(bytes: string | Buffer): Promise<RawAnswer> {
  const chunks: Buffer[] = [];
  const socket = connect(port, '127.0.0.1');
  socket.write(bytes);
  for await (const chunk of socket) chunks.push(Buffer.from(chunk));
  const [head = '', body = ''] = Buffer.concat(chunks).toString().split('\r\n\r\n');
  return { status: Number(head.split(' ')[1]), head: head.toLowerCase(), body };
}

function request(line: string, options: { headers?: string[]; body?: string | Buffer } = {}): Buffer {
  const { headers = [], body = '' } = options;
  const lengthKnown = headers.some((header) => /^(content-length|transfer-encoding):/i.test(header));
  const head = [
    `${line} HTTP/1.1`,
    'host: localhost',
    'connection: close',
    `authorization: Bearer ${admin.token}`,
    ...(lengthKnown || body.length === 0 ? [] : [`content-length: ${Buffer.byteLength(body)}`]),
    ...headers,
  ];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), Buffer.from(body)]);
}

const JSON_TYPE = ['content-type: application/json'];
const deep = (depth: number) => `{"name":"a","metadata":{"a":${'['.repeat(depth)}${']'.repeat(depth)}}}`;

describe('every refusal is application/problem+json', () => {
  const cases: [string, number, string, () => string | Buffer][] = [
    ['an unknown path', 404, 'not_found', () => request('GET /admin/v1/nothing')],
    ['a path outside the API', 404, 'not_found', () => request('GET /nothing')],
    ['a wrong method', 405, 'method_not_allowed', () => request('DELETE /admin/v1/accounts')],
    ['a method nobody knows', 405, 'method_not_allowed', () => request('PROPFIND /admin/v1/accounts')],
    ['a URL that cannot be decoded', 400, 'malformed_request', () => request('GET /admin/v1/accounts/%ZZ')],
    ['a very long path', 414, 'uri_too_long', () => request(`GET /admin/v1/accounts/${'x'.repeat(3_000)}`)],
    [
      'headers beyond reason',
      431,
      'headers_too_large',
      () => request('GET /', { headers: [`x: ${'x'.repeat(40_000)}`] }),
    ],
    ['what is not HTTP', 400, 'malformed_request', () => 'HELO there\r\n\r\n'],
    [
      'broken JSON',
      400,
      'malformed_request',
      () => request('POST /admin/v1/accounts', { headers: JSON_TYPE, body: '{"name":' }),
    ],
    [
      'a prototype in JSON',
      400,
      'malformed_request',
      () => request('POST /admin/v1/accounts', { headers: JSON_TYPE, body: '{"name":"a","__proto__":{}}' }),
    ],
    [
      'bytes that are not UTF-8',
      400,
      'malformed_request',
      () => request('POST /admin/v1/accounts', { headers: JSON_TYPE, body: Buffer.from([0x22, 0xff, 0x22]) }),
    ],
    [
      'a form',
      415,
      'unsupported_media_type',
      () =>
        request('POST /admin/v1/accounts', {
          headers: ['content-type: application/x-www-form-urlencoded'],
          body: 'name=a',
        }),
    ],
    [
      'text',
      415,
      'unsupported_media_type',
      () => request('POST /admin/v1/accounts', { headers: ['content-type: text/plain'], body: 'a' }),
    ],
    [
      'a body of no type',
      415,
      'unsupported_media_type',
      () => request('POST /admin/v1/accounts', { body: '{}' }),
    ],
    [
      'a body above 1 MiB by its length',
      413,
      'body_too_large',
      () =>
        request('POST /admin/v1/accounts', { headers: [...JSON_TYPE, `content-length: ${1024 * 1024 + 1}`] }),
    ],
    [
      'no body',
      422,
      'validation_failed',
      () => request('POST /admin/v1/accounts', { headers: ['content-length: 0'] }),
    ],
    [
      'nested JSON',
      422,
      'validation_failed',
      () => request('POST /admin/v1/accounts', { headers: JSON_TYPE, body: deep(100_000) }),
    ],
    [
      'a number beyond numbers',
      422,
      'validation_failed',
      () =>
        request('POST /admin/v1/accounts', {
          headers: JSON_TYPE,
          body: '{"name":"a","metadata":{"a":1e999}}',
        }),
    ],
  ];

  it.each(cases)('for %s: %i %s', async (_case, status, code, bytes) => {
    const answer = await send(bytes());
    expect([answer.status, answer.body]).toEqual([status, expect.any(String)]);
    const body = JSON.parse(answer.body);
    expect(body).toMatchObject({
      type: `urn:tollgate:problem:${code}`,
      title: expect.any(String),
      status,
      code,
      detail: expect.any(String),
      requestId: expect.stringMatching(/^req_[0-9a-f]{32}$/),
    });
    expect(answer.head).toContain('content-type: application/problem+json');
    expect(answer.head).toContain(`x-request-id: ${body.requestId}`);
    expect(answer.body).not.toMatch(/node_modules|\.ts:|\.js:|select |insert |tollgate\./i);
  });

  it('says which methods a path answers to', async () => {
    expect((await send(request('DELETE /admin/v1/accounts?x=1'))).head).toContain('allow: get, head, post');
    expect((await send(request('GET /admin/v1/prices:batch'))).head).toContain('allow: post');
  });

  it('stops reading a body without a length at 1 MiB', async () => {
    const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
    const answer = await send(
      request('POST /admin/v1/accounts', {
        headers: [...JSON_TYPE, 'transfer-encoding: chunked'],
        body: `${chunk.repeat(20)}0\r\n\r\n`,
      }),
    );
    expect(answer.status).toBe(413);
  });

  it('refuses a stranger before it reads the body', async () => {
    const answer = await send(
      Buffer.from(
        'POST /admin/v1/accounts HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n' +
          'content-type: application/json\r\ncontent-length: 1000000\r\n\r\n{',
      ),
    );
    expect(answer.status).toBe(401);
  });

  it('takes a client that knows nothing of request ids at no word', async () => {
    const answer = await send(
      request('GET /admin/v1/me', { headers: ['request-id: mine', 'x-request-id: mine'] }),
    );
    expect(answer.head).toMatch(/x-request-id: req_[0-9a-f]{32}/);
    expect(answer.head).toContain('cache-control: no-store');
  });
});

describe('GET /version and /health', () => {
  it('say what runs and how it does', async () => {
    expect((await admin.call('GET', '/version')).body).toEqual({
      name: 'tollgate',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
    expect((await admin.call('GET', '/health')).body).toEqual({ status: 'ok', missing: {} });
  });
});

describe('while the database is away', () => {
  it('answers 503 with a time to come back, and works again afterwards', async () => {
    const away = await startAdmin();
    const { rows } = await away.owner.query('SELECT current_database() AS name');
    const name: string = rows[0].name;
    await away.owner.query(`ALTER DATABASE ${name} CONNECTION LIMIT 0`);
    await away.owner.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tollgate_app' AND datname = $1`,
      [name],
    );
    const refused = await away.call('GET', '/me');
    expect([refused.status, refused.body.code, refused.headers['retry-after']]).toEqual([
      503,
      'database_unavailable',
      '5',
    ]);
    const ready = await away.app.inject({ method: 'GET', url: '/health/ready' });
    expect([ready.statusCode, ready.json()]).toEqual([
      503,
      { status: 'not_ready', missing: { postgres: 'does not answer' } },
    ]);
    await away.owner.query(`ALTER DATABASE ${name} CONNECTION LIMIT -1`);
    expect((await away.call('GET', '/me')).status).toBe(200);
    await away.stop();
  });
});
