import { createServer, type Server } from 'node:http';
import { Socket, type AddressInfo } from 'node:net';
import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import {
  RawConnection,
  exchange,
  expectAnswerHeaders,
  parseAnswer,
  pause,
  rawRequest,
  startTestGateway,
  type TestGateway,
} from './gateway.spec-kit.js';
import { HTTP_SERVER_OPTIONS } from './http-server.js';
import { answerMalformedRequest } from './malformed-request.js';

const MIB = 1024 * 1024;

let gateway: TestGateway;
let key: string;
let authorization: string;
let bodyText: string;

beforeAll(async () => {
  gateway = await startTestGateway();
  key = gateway.seeded.apiKey;
  authorization = `Bearer ${key}`;
  bodyText = JSON.stringify({ model: gateway.seeded.model, messages: [{ role: 'user', content: '你好' }] });
});

afterAll(async () => {
  await gateway?.stop();
});

function post(body: Buffer | string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${gateway.baseUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json', ...headers },
    body,
  });
}

/** Quick at making a bomb of nothing but blanks. */
function quickBrotli(bytes: Buffer): Buffer {
  return brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } });
}

async function refusalOf(response: Response): Promise<{ status: number; code: unknown; message: string }> {
  const { error }: any = await response.json();
  expectAnswerHeaders(Object.fromEntries(response.headers));
  return { status: response.status, code: error.code, message: error.message };
}

function expectRefusal(text: string, status: number): { code: unknown; message: string } {
  const answer = parseAnswer(text);
  expect(answer.status).toBe(status);
  expectAnswerHeaders(answer.headers);
  const { error } = JSON.parse(answer.body);
  expect(Object.keys(error).sort()).toEqual(['code', 'message', 'param', 'type']);
  return error;
}

describe('compressed bodies', () => {
  it.each([
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['GZIP', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['br', brotliCompressSync],
    ['identity', (text: string) => Buffer.from(text)],
  ])('are read in %s', async (encoding, compress) => {
    await gateway.upstream.reset();
    const response = await post(compress(bodyText), { 'content-encoding': encoding });
    expect(response.status).toBe(200);
    const [delivery] = await gateway.upstream.deliveries();
    expect(delivery?.body).toMatchObject({ messages: [{ content: '你好' }] });
  });

  it('may hold the credential', async () => {
    const body = gzipSync(`{"api_secret_key":"${key}",${bodyText.slice(1)}`);
    expect((await post(body, { authorization: '', 'content-encoding': 'gzip' })).status).toBe(200);
  });

  it('are refused in an encoding that is not known, by its name', async () => {
    const refusal = await refusalOf(await post(bodyText, { 'content-encoding': 'zstd' }));
    expect(refusal).toMatchObject({ status: 400, code: 'malformed_request' });
    expect(refusal.message).toContain("'zstd'");
  });

  it.each(['gzip', 'deflate', 'br'])('are refused where they are not %s', async (encoding) => {
    expect(await refusalOf(await post(bodyText, { 'content-encoding': encoding }))).toMatchObject({
      status: 400,
      code: 'malformed_request',
    });
    const half = gzipSync(bodyText).subarray(0, 20);
    expect((await post(half, { 'content-encoding': encoding })).status).toBe(400);
  });

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', quickBrotli],
  ])('are bounded by what %s makes of them', async (encoding, compress) => {
    const bomb = compress(Buffer.alloc(128 * MIB, 0x20));
    const before = process.memoryUsage();
    const refusal = await refusalOf(await post(bomb, { 'content-encoding': encoding }));
    expect(refusal).toMatchObject({ status: 413, code: 'request_too_large' });
    const { external, arrayBuffers } = process.memoryUsage();
    expect(external + arrayBuffers - before.external - before.arrayBuffers).toBeLessThan(112 * MIB);
  });

  it('of strangers are bounded by 64 KiB', async () => {
    const bomb = gzipSync(`{"a":"${' '.repeat(100_000)}","api_secret_key":"${key}"}`);
    const response = await post(bomb, { authorization: '', 'content-encoding': 'gzip' });
    expect(await refusalOf(response)).toMatchObject({ status: 401, code: null });
  });

  it('of exactly 32 MiB are read', async () => {
    const filled = `${bodyText.slice(0, -1)},"user":"${'u'.repeat(32 * MIB - Buffer.byteLength(bodyText) - 10)}"}`;
    expect(Buffer.byteLength(filled)).toBe(32 * MIB);
    expect((await post(gzipSync(filled), { 'content-encoding': 'gzip' })).status).not.toBe(413);
    expect((await post(gzipSync(`${filled} `), { 'content-encoding': 'gzip' })).status).toBe(413);
  });
});

describe('Expect: 100-continue', () => {
  const head = (headers: Record<string, string>): string =>
    rawRequest('POST /v1/chat/completions', { 'content-type': 'application/json', ...headers });

  it('is answered before the body comes, and then the request as any', async () => {
    const length = String(Buffer.byteLength(bodyText));
    const connection = await RawConnection.open(gateway.baseUrl);
    connection.write(head({ authorization, expect: '100-continue', 'content-length': length }));
    expect(await connection.until(/\r\n\r\n/)).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    connection.write(bodyText);
    const answer = parseAnswer(await connection.until(/"usage".*}$/s));
    connection.close();
    expect(answer.status).toBe(200);
  });

  it.each([
    ['a stranger', { expect: '100-continue', 'content-length': '100000' }, 401],
    ['a wrong key', { expect: '100-continue', 'content-length': '9', authorization: 'Bearer sk-no' }, 401],
  ])('of %s is refused without asking for the body', async (_what, headers, status) => {
    const text = await exchange(gateway.baseUrl, head(headers));
    expect(text).not.toContain('100 Continue');
    expectRefusal(text, status);
  });

  it('of too large a body is refused without asking for it', async () => {
    const text = await exchange(
      gateway.baseUrl,
      head({ authorization, expect: '100-continue', 'content-length': String(33 * MIB) }),
    );
    expect(text).not.toContain('100 Continue');
    expectRefusal(text, 413);
  });

  it('is not needed for other expectations', async () => {
    const headers = { authorization, expect: 'something-else', connection: 'close' };
    const text = await exchange(gateway.baseUrl, rawRequest('GET /v1/models', headers));
    expect(parseAnswer(text).status).toBe(200);
  });
});

describe('what is no request', () => {
  it.each([
    ['no HTTP', 'HELLO THERE\r\n\r\n', 400],
    ['an unknown method', rawRequest('BREW /v1/models'), 400],
    ['a head beyond 32 KiB', rawRequest('GET /v1/models', { x: 'y'.repeat(40_000) }), 431],
    ['a URL beyond 32 KiB', rawRequest(`GET /v1/models?${'y'.repeat(40_000)}`), 431],
    [
      'two lengths',
      rawRequest('POST /v1/models', { 'content-length': '1', 'Content-Length': '2' }, 'xx'),
      400,
    ],
    ['HTTP/2 without being asked', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['a proxy’s tunnel', 'CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\n\r\n', 405],
    ['no Host', 'GET /v1/models HTTP/1.1\r\nauthorization: Bearer KEY\r\nconnection: close\r\n\r\n', 400],
  ])('is refused in the envelope: %s', async (_what, bytes, status) => {
    const error = expectRefusal(await exchange(gateway.baseUrl, bytes.replace('KEY', key)), status);
    expect(error.code).toBe('malformed_request');
  });

  it('is refused also in the middle of a body', async () => {
    const headers = { authorization, 'content-type': 'application/json', 'transfer-encoding': 'chunked' };
    const bytes = rawRequest('POST /v1/chat/completions', headers, '5\r\n{"mod\r\nnot a size\r\n');
    expectRefusal(await exchange(gateway.baseUrl, bytes), 400);
  });

  it('does not write into an answer that has begun', async () => {
    await gateway.upstream.behave({ fault: 'endless', chunkDelayMs: 5 });
    const body = `${bodyText.slice(0, -1)},"stream":true}`;
    const headers = { authorization, 'content-length': String(Buffer.byteLength(body)) };
    const connection = await RawConnection.open(gateway.baseUrl);
    connection.write(rawRequest('POST /v1/chat/completions', headers, body));
    await connection.until(/data: /);
    connection.write('HELLO THERE\r\n\r\n');
    const text = await connection.untilClosed();
    expect(text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    await gateway.upstream.reset();
  });

  it('is not answered on a connection that said nothing', async () => {
    const connection = await RawConnection.open(gateway.baseUrl);
    connection.socket.end();
    expect(await connection.untilClosed()).toBe('');
  });

  it.each([
    ['an absolute URL', 'GET http://gateway.example/v1/models'],
    ['HTTP/1.0', 'GET /v1/models'],
  ])('is told from what is unusual: %s', async (what, line) => {
    const request = rawRequest(line, { authorization, connection: 'close' });
    const bytes = what === 'HTTP/1.0' ? request.replace('HTTP/1.1', 'HTTP/1.0') : request;
    expect(parseAnswer(await exchange(gateway.baseUrl, bytes)).status).toBe(200);
  });

  it('includes no question of a browser about everything', async () => {
    const text = await exchange(gateway.baseUrl, rawRequest('OPTIONS *', { connection: 'close' }));
    const answer = parseAnswer(text);
    expect(answer.status).toBe(204);
    expectAnswerHeaders(answer.headers);
  });
});

describe('requests that do not arrive in time', () => {
  let server: Server;
  let url: string;

  beforeAll(async () => {
    server = createServer({
      ...HTTP_SERVER_OPTIONS,
      headersTimeout: 100,
      requestTimeout: 200,
      connectionsCheckingInterval: 20,
    });
    server.on('clientError', (error, socket) => {
      if (socket instanceof Socket) answerMalformedRequest(error, socket);
    });
    server.on('request', (request) => request.resume());
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  });

  afterAll(() => {
    server.close();
  });

  it.each([
    ['a head', 'GET /v1/models HTTP/1.1\r\nho'],
    ['a body', rawRequest('POST /v1/completions', { 'content-length': '100' }, 'xxx')],
  ])('are refused in the envelope: %s', async (_what, bytes) => {
    const error = expectRefusal(await exchange(url, bytes), 408);
    expect(error.message).toContain('did not arrive in time');
  });

  it('are let go without a word where nothing came at all', async () => {
    expect(await exchange(url, '')).toBe('');
  });
});

describe('content types that are none', () => {
  it.each(['nonsense', ';', 'a/b/c'])('are refused with 400: %p', async (contentType) => {
    const text = await exchange(
      gateway.baseUrl,
      rawRequest(
        'POST /v1/chat/completions',
        { authorization, 'content-type': contentType, 'content-length': '2', connection: 'close' },
        '{}',
      ),
    );
    expect(expectRefusal(text, 400).code).toBe('unsupported_content_type');
  });

  it('are taken for absent if they are empty', async () => {
    const headers = { authorization, 'content-type': '', connection: 'close' };
    const length = { 'content-length': String(Buffer.byteLength(bodyText)) };
    const request = rawRequest('POST /v1/chat/completions', { ...headers, ...length }, bodyText);
    expect(parseAnswer(await exchange(gateway.baseUrl, request)).status).toBe(200);
  });
});

describe('clients that are slow', () => {
  /** The median of the latencies of twenty requests, one after the other. */
  async function medianLatencyMs(): Promise<number> {
    const latenciesMs: number[] = [];
    for (let round = 0; round < 20; round += 1) {
      const startedAtMs = performance.now();
      const response = await post(bodyText);
      await response.text();
      expect(response.status).toBe(200);
      latenciesMs.push(performance.now() - startedAtMs);
    }
    return latenciesMs.sort((a, b) => a - b)[10] ?? Number.NaN;
  }

  it('do not slow others down, be they 2,000', async () => {
    const aloneMs = await medianLatencyMs();
    const connections = await Promise.all(
      Array.from({ length: 2_000 }, () => RawConnection.open(gateway.baseUrl)),
    );
    const slow = connections.slice(0, 500);
    const begun = rawRequest('POST /v1/chat/completions', { authorization, 'content-length': '1000' });
    for (const [index, connection] of slow.entries()) connection.write(begun.slice(0, 20 + (index % 100)));
    for (const connection of connections.slice(500, 800)) connection.write(begun);
    const dripping = setInterval(() => {
      for (const connection of slow) connection.write('x');
    }, 1_000);
    await pause(500);
    const medianMs = await medianLatencyMs();
    clearInterval(dripping);
    for (const connection of connections) connection.close();
    // One that had to wait for a dripping client would wait for a second and more.
    expect(medianMs).toBeLessThan(Math.max(20 * aloneMs, 1_000));
  });

  it('do not hold a place: a body that never ends is left when its sender leaves', async () => {
    const connection = await RawConnection.open(gateway.baseUrl);
    const headers = { authorization, 'content-length': '1000' };
    connection.write(rawRequest('POST /v1/chat/completions', headers, '{"model"'));
    await pause(50);
    connection.close();
    expect((await post(bodyText)).status).toBe(200);
  });
});
