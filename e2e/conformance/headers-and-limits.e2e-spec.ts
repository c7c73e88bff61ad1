import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { ConformanceBench, chatBody } from './conformance-bench.js';
import { open } from './raw-http.js';

let bench: ConformanceBench;
/** Takes connections and answers nothing. */
let mute: Server;

beforeAll(async () => {
  bench = await ConformanceBench.start();
  mute = createServer(() => undefined);
  await new Promise<void>((resolve) => mute.listen(0, bench.installation.testHost, resolve));
});

afterEach(() => bench.audit());

afterAll(async () => {
  await bench?.close();
  mute?.close();
});

describe('headers', () => {
  it('C-180 has x-request-id, request-id, openai-processing-ms and openai-version on answers of all kinds', async () => {
    for (const answer of [
      await bench.chat(),
      await bench.chat({ stream: true }),
      await bench.get('/v1/models'),
      await bench.chat({ model: 'x' }),
      await bench.chat({}, { key: null }),
    ]) {
      expect(answer.headers['x-request-id']).toMatch(/^req_[0-9a-f]{32}$/);
      expect(answer.headers['openai-processing-ms']).toMatch(/^\d+$/);
      expect(answer.headers['openai-version']).toBe('2020-10-01');
    }
  });

  it('C-181 makes its own request ids, whatever the client sends', async () => {
    const headers = [
      ['X-Request-Id', 'mine'],
      ['X-Client-Request-Id', 'mine'],
    ] as const;
    expect((await bench.chat({}, { headers })).headers['x-request-id']).not.toBe('mine');
  });

  it('C-182 serves and charges twice what comes twice with one Idempotency-Key', async () => {
    const headers = [['Idempotency-Key', 'one']] as const;
    const [first, second] = [await bench.chat({}, { headers }), await bench.chat({}, { headers })];
    for (const { status, requestId } of [first, second]) {
      expect(status).toBe(200);
      expect(await bench.usageOf(requestId)).toMatchObject({ cost: '27000' });
    }
  });

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ])('C-183 takes a body in %s', async (encoding, compress) => {
    const answer = await bench.ask({
      headers: [
        ['Content-Type', 'application/json'],
        ['Content-Encoding', encoding],
      ],
      body: compress(Buffer.from(JSON.stringify(chatBody({ seed: 7 })))),
    });
    expect(answer.json?.error).toBeUndefined();
    expect(bench.upstream.lastCall.body.seed).toBe(7);
    expect(bench.upstream.lastCall.headers).not.toHaveProperty('content-encoding');
  });

  it('C-184 refuses a compressed body that is broken, unknown or unpacks to more than 32 MiB', async () => {
    const send = (encoding: string, body: Buffer) =>
      bench.ask({
        headers: [
          ['Content-Type', 'application/json'],
          ['Content-Encoding', encoding],
        ],
        body,
      });
    expect((await send('gzip', gzipSync(Buffer.alloc(40 * 1024 * 1024, ' ')))).status).toBe(413);
    expect((await send('gzip', randomBytes(100))).status).toBe(400);
    expect((await send('gzip', gzipSync('{"model":"x"}').subarray(0, 20))).status).toBe(400);
    expect((await send('snappy', Buffer.from('{}'))).status).toBe(400);
  });

  it('C-185 answers Expect: 100-continue', async () => {
    const answer = await bench.chat({}, { headers: [['Expect', '100-continue']] });
    expect(answer.status).toBe(200);
    expect(answer.bytes.toString('latin1')).toMatch(/^HTTP\/1\.1 100 /);
  });

  it('C-186 sends no encoding that the client did not list', async () => {
    for (const encodings of [undefined, 'identity', 'zstd']) {
      const headers = encodings === undefined ? [] : ([['Accept-Encoding', encodings]] as const);
      for (const path of ['/v1/models', '/v1/models/nothing']) {
        expect((await bench.get(path, { headers })).headers).not.toHaveProperty('content-encoding');
      }
    }
  });

  it('C-187 takes any headers of any client', async () => {
    const headers = [
      ['anthropic-version', '2026-10-21'],
      ['OpenAI-Version', '2020-11-07'],
      ['X-OpenAI-Client-User-Agent', '{"lang":"python"}'],
      ['X-Stainless-Retry-Count', '2'],
      ['X-Stainless-Timeout', 'soon'],
      ['HTTP-Referer', 'https://app.example'],
      ['X-OpenWebUI-User-Email', 'ann@example.com'],
    ] as const;
    expect((await bench.chat({}, { headers })).status).toBe(200);
    const forwarded = Object.keys(bench.upstream.lastCall.headers);
    for (const [name] of headers) expect(forwarded).not.toContain(name.toLowerCase());
  });

  it('C-188 forwards OpenAI-Beta to upstreams of the OpenAI kind', async () => {
    await bench.chat({}, { headers: [['OpenAI-Beta', 'responses=v1']] });
    expect(bench.upstream.lastCall.headers['openai-beta']).toBe('responses=v1');
  });

  it("C-189 gives none of the upstream's headers to the client", async () => {
    for (const stream of [true, false]) {
      const { headers } = await bench.chat({ stream });
      for (const name of ['set-cookie', 'x-ratelimit-remaining-tokens', 'x-envoy-upstream']) {
        expect(headers).not.toHaveProperty(name);
      }
    }
  });

  it('C-190 serves several requests on one connection', async () => {
    const socket = open(bench.installation.gatewayUrl);
    for (let round = 0; round < 3; round += 1) {
      const body = JSON.stringify(chatBody());
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${bench.key}\r\n` +
          `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      const text = await new Promise<string>((resolve) =>
        socket.once('data', (data) => resolve(String(data))),
      );
      expect(text).toMatch(/^HTTP\/1\.1 200 /);
    }
    socket.destroy();
  });
});

const EXPOSED = [
  'x-request-id',
  'request-id',
  'openai-processing-ms',
  'openai-version',
  'openai-organization',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  'x-ratelimit-limit-requests',
  'x-ratelimit-remaining-requests',
  'x-ratelimit-reset-requests',
  'x-ratelimit-limit-tokens',
  'x-ratelimit-remaining-tokens',
  'x-ratelimit-reset-tokens',
  'x-credits-charged',
  'x-credits-remaining',
];

describe('cors', () => {
  it.each(['/v1/chat/completions', '/v1/models', '/chat/completions', '/anything/at/all', '*'])(
    'C-200 answers OPTIONS %s with 204, without a key',
    async (path) => {
      const { status, headers, body } = await bench.ask({
        method: 'OPTIONS',
        path,
        key: null,
        headers: [
          ['Origin', 'https://chat.example'],
          ['Access-Control-Request-Method', 'POST'],
          ['Access-Control-Request-Headers', 'authorization, x-stainless-lang'],
        ],
      });
      expect(status).toBe(204);
      expect(body).toHaveLength(0);
      expect(headers['access-control-allow-origin']).toBe('*');
      expect(headers).not.toHaveProperty('access-control-allow-credentials');
      expect(headers['access-control-allow-headers']).toBe('authorization, x-stainless-lang');
      expect(headers['access-control-allow-methods']?.split(/, ?/).sort()).toEqual(
        ['DELETE', 'GET', 'OPTIONS', 'PATCH', 'POST', 'PUT'].sort(),
      );
      expect(headers['access-control-max-age']).toBe('86400');
      expect(headers.vary).toMatch(/Origin/i);
      expect(headers.vary).toMatch(/Access-Control-Request-Headers/i);
    },
  );

  it('C-201 lets browsers read every answer, refusals and streams too, and the headers that matter', async () => {
    const headers = [['Origin', 'https://chat.example']] as const;
    for (const answer of [
      await bench.chat({}, { headers }),
      await bench.chat({ stream: true }, { headers }),
      await bench.chat({ model: 'x' }, { headers }),
      await bench.chat({}, { headers, key: null }),
      await bench.get('/v1/nothing', { headers }),
      await bench.get('/v1/models', { headers }),
    ]) {
      expect(answer.headers['access-control-allow-origin']).toBe('*');
      expect(answer.headers).not.toHaveProperty('access-control-allow-credentials');
      const exposed = (answer.headers['access-control-expose-headers'] ?? '').toLowerCase().split(/, ?/);
      for (const name of EXPOSED) expect(exposed).toContain(name);
    }
  });
});

describe('limits', () => {
  it('C-240 bounds the head of a request by 32 KiB', async () => {
    const near = await bench.get('/v1/models', { headers: [['X-Long', 'a'.repeat(30_000)]] });
    expect(near.status).toBe(200);
    const beyond = await bench.get('/v1/models', { headers: [['X-Long', 'a'.repeat(40_000)]] });
    expect(beyond.status).toBe(431);
  });

  it('C-241 refuses a body credential in a body of more than 64 KiB', async () => {
    const messages = [{ role: 'user', content: 'a'.repeat(70_000) }];
    const { status } = await bench.ask({
      key: null,
      json: chatBody({ api_secret_key: bench.key, messages }),
    });
    expect([401, 413]).toContain(status);
  });

  it('C-242 waits no longer than its deployment says for a connection that is taken and never answered', async () => {
    const { port } = mute.address() as AddressInfo;
    await bench.sell('mute-chat', {
      deployment: {
        baseUrl: `http://${bench.installation.testHost}:${port}/v1`,
        settings: { firstByteTimeoutMs: 300 },
      },
    });
    await bench.untilSold('mute-chat');
    const { status, json } = await bench.chat({ model: 'mute-chat' });
    expect(json.error.code).toBe('upstream_timeout');
    expect(status).toBe(504);
  });
});
