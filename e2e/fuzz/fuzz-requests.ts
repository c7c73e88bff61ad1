import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { bodies } from './fuzz-bodies.js';

/** One generated request, as it goes over the wire. */
export interface FuzzRequest {
  readonly method: string;
  readonly bytes: Buffer;
  /** The bytes are no whole request: the client ends its side after them. */
  readonly isCut: boolean;
  /** What comes after it on the connection cannot be told from it any more. */
  readonly spoilsConnection: boolean;
  /** By the letter of RFC 9112 it is no request, or not one only: a proxy refuses it before a gateway sees it. */
  readonly isMalformed: boolean;
  /** It says how long it is willing to wait. */
  readonly setsTimeout: boolean;
}

/** API keys: one that can pay, and others that cannot, or may not. */
export interface Keys {
  readonly rich: string;
  readonly others: readonly string[];
}

type Header = readonly [name: string, value: string];

const POSTED = [
  '/v1/chat/completions',
  '/v1/chat/completions',
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/chat/completions',
  '/v1/v1/chat/completions',
  '/index.php/api/v1/chat/completions',
  '/v1/dashboard/billing/credit_grants',
];

const READ = [
  '/v1/models',
  '/v1/engines',
  '/v1/key',
  '/v1/usage',
  '/v1/usage?limit=5',
  '/v1/generations/req_01a1fdc91b5f70ffa4f3916710c5c462',
  '/v1/dashboard/billing/subscription',
  '/v1/dashboard/billing/usage?start_date=2026-01-01&end_date=2026-01-31',
  '/v1/dashboard/billing/credit_grants',
  '/health/live',
  '/',
];

/** All that clients send, and what they could: paths, heads, credentials, bodies, encodings, framing. */
export function requests(keys: Keys, models: readonly string[]): fc.Arbitrary<FuzzRequest> {
  const isPost = fc.integer({ min: 0, max: 9 }).map((dice) => dice < 8);
  return isPost.chain((posts) =>
    fc
      .record({
        method: methods(posts ? 'POST' : 'GET'),
        path: mutatedPaths(posts ? POSTED : READ, models),
        credentials: credentials(keys),
        type: posts ? contentTypes() : fc.constant<Header[]>([]),
        extras: fc.array(extraHeaders(), { maxLength: 3 }),
        body: posts ? bodies(models) : fc.constant(Buffer.alloc(0)),
        encoding: usually<'gzip' | 'deflate' | 'br' | 'lie' | null>(
          null,
          fc.constantFrom('gzip' as const, 'deflate' as const, 'br' as const, 'lie' as const),
        ),
        framing: usually<Framing>('length', fc.constantFrom(...FRAMINGS)),
        cuts: fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 6 }),
      })
      .map(assemble),
  );
}

const FRAMINGS = [
  'chunked',
  'chunked',
  'chunked',
  'bad_chunk',
  'too_long',
  'too_short',
  'both',
  'none',
  'cut_head',
  'expect',
] as const;

type Framing = 'length' | (typeof FRAMINGS)[number];

/** Mostly the usual value; now and then another. */
function usually<T>(value: T, other: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 7, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: other });
}

function methods(usual: string): fc.Arbitrary<string> {
  const others = fc.constantFrom(
    'GET',
    'POST',
    'PUT',
    'PATCH',
    'DELETE',
    'OPTIONS',
    'HEAD',
    'TRACE',
    'PROPFIND',
    'BREW',
  );
  return fc.oneof({ weight: 15, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: others });
}

function mutatedPaths(paths: readonly string[], models: readonly string[]): fc.Arbitrary<string> {
  const known = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...paths) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(
          fc.constantFrom('/v1/engines/', '/openai/deployments/', '/v1/models/'),
          fc.constantFrom(...models, '%', '%2F', '..', 'x'.repeat(600), '%E4%BD%A0', '%00', ':'),
          fc.constantFrom('', '/chat/completions', '/embeddings', '/completions?api-version=1', '/'),
        )
        .map((parts) => parts.join('')),
    },
  );
  const noise = fc.constantFrom(
    '/',
    '//',
    '/v1',
    '/..',
    '/.',
    '%',
    '%zz',
    '%2e%2e',
    '?',
    '#',
    ';',
    '\\',
    '%00',
    '&a=b',
    '[',
    '/index.php',
    '/api',
    '/openai',
  );
  const place = fc.double({ min: 0, max: 1, noNaN: true });
  const mutated = fc.tuple(known, noise, place).map(([path, piece, at]) => {
    const cut = Math.floor(path.length * at);
    return path.slice(0, cut) + piece + path.slice(cut);
  });
  const wild = fc
    .string({ unit: fc.constantFrom(...'/abv1%?&=.:;,~!@$^*()_+-|{}<>"\'`'), maxLength: 60 })
    .map((text) => `/${text}`);
  return fc.oneof(
    { weight: 12, arbitrary: known },
    { weight: 2, arbitrary: mutated },
    { weight: 1, arbitrary: wild },
  );
}

function credentials({ rich, others }: Keys): fc.Arbitrary<Header[]> {
  const good = fc.constantFrom<Header>(
    ['Authorization', `Bearer ${rich}`],
    ['authorization', `bearer   ${rich} `],
    ['Authorization', rich],
    ['Authorization', `Basic ${Buffer.from(`:${rich}`).toString('base64')}`],
    ['api-key', rich],
    ['x-api-key', rich],
  );
  const odd = fc.oneof(
    fc.constantFrom(...others).map((key): Header => ['Authorization', `Bearer ${key}`]),
    fc
      .tuple(
        fc.constantFrom('Authorization', 'api-key', 'x-api-key', 'x-goog-api-key', 'Sec-WebSocket-Protocol'),
        fc.constantFrom(
          '',
          'Bearer',
          'Bearer ',
          'Basic',
          'Basic ====',
          'Basic Og==',
          'sk-',
          `${rich}x`,
          'a'.repeat(2_000),
          '\u00ff\u00fe',
          'openai-insecure-api-key.',
        ),
      )
      .map(([name, value]): Header => [name, value]),
  );
  return fc.oneof(
    { weight: 14, arbitrary: good.map((header) => [header]) },
    { weight: 2, arbitrary: fc.array(odd, { maxLength: 3 }) },
    { weight: 1, arbitrary: fc.tuple(odd, good).map((both) => [...both]) },
  );
}

function contentTypes(): fc.Arbitrary<Header[]> {
  const odd = fc
    .constantFrom(
      'application/json; charset=utf-8',
      'APPLICATION/JSON',
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data',
      'multipart/form-data; boundary=x',
      '',
      ';',
      'application/json;',
      'application/vnd.api+json',
      'application/json; charset=utf-16',
    )
    .map((value): Header[] => [['Content-Type', value]]);
  return fc.oneof(
    { weight: 14, arbitrary: fc.constant<Header[]>([['Content-Type', 'application/json']]) },
    { weight: 2, arbitrary: odd },
    { weight: 1, arbitrary: fc.constant<Header[]>([]) },
  );
}

function extraHeaders(): fc.Arbitrary<Header> {
  return fc.oneof(
    fc.constantFrom<Header>(
      ['Accept', 'text/event-stream'],
      ['Accept-Encoding', 'gzip, deflate, br, zstd'],
      ['Origin', 'https://chat.example'],
      ['Origin', 'null'],
      ['Access-Control-Request-Headers', 'authorization,\tx'],
      ['OpenAI-Organization', ''],
      ['OpenAI-Beta', 'assistants=v2'],
      ['Idempotency-Key', 'k'],
      ['X-Request-Id', 'x\u00e9'],
      ['X-Forwarded-For', '1.2.3.4, ::1'],
      ['Cookie', 'a=b'],
      ['Range', 'bytes=0-1'],
      ['If-None-Match', '*'],
      ['Upgrade-Insecure-Requests', '1'],
      ['X-HTTP-Method-Override', 'DELETE'],
    ),
    fc
      .tuple(
        fc.constantFrom('X-Stainless-Timeout', 'X-Stainless-Retry-Count'),
        fc.constantFrom('600', '0', '-1', 'NaN', '1e9', '', '9'.repeat(40), '10, 20'),
      )
      .map(([name, value]): Header => [name, value]),
    fc
      .tuple(
        fc.string({ unit: fc.constantFrom(...'abcXYZ-_09'), minLength: 1, maxLength: 20 }),
        fc.string({ unit: fc.constantFrom(...' abc;="\t\u00e9\u00ff,%'), maxLength: 60 }),
      )
      .map(([name, value]): Header => [`x-${name}`, value]),
  );
}

interface Parts {
  readonly method: string;
  readonly path: string;
  readonly credentials: readonly Header[];
  readonly type: readonly Header[];
  readonly extras: readonly Header[];
  readonly body: Buffer;
  readonly encoding: 'gzip' | 'deflate' | 'br' | 'lie' | null;
  readonly framing: Framing;
  readonly cuts: readonly number[];
}

function assemble(parts: Parts): FuzzRequest {
  const { method, path, framing, extras } = parts;
  const encoded = encode(parts);
  const { headers, payload } = frame(framing, encoded.body, parts.cuts);
  const lines = [
    `${method} ${path} HTTP/1.1`,
    ...[
      ['Host', 'fuzz.test'] as const,
      ...parts.credentials,
      ...parts.type,
      ...extras,
      ...encoded.headers,
    ].map(([name, value]) => `${name}: ${value}`),
    ...headers,
  ];
  const head = `${lines.join('\r\n')}\r\n\r\n`;
  const isHeadCut = framing === 'cut_head';
  const bytes = Buffer.concat([
    Buffer.from(isHeadCut ? head.slice(0, -3) : head, 'latin1'),
    isHeadCut ? Buffer.alloc(0) : payload,
  ]);
  // Node takes the rest of some requests for the next one, and closes the connection after others.
  const hasBodyOfNone = framing === 'none' && encoded.body.length > 0;
  const isCut = isHeadCut || framing === 'too_long' || framing === 'bad_chunk';
  const spoils = isCut || hasBodyOfNone || ['too_short', 'both'].includes(framing);
  const spoilsConnection =
    spoils || !/^[A-Z]+$/.test(method) || ['TRACE', 'PROPFIND', 'BREW'].includes(method) || / |\\/.test(path);
  return {
    method,
    bytes,
    isCut,
    spoilsConnection,
    isMalformed: spoilsConnection || !/^\/[!-~]*$/.test(path),
    setsTimeout: extras.some(([name]) => name === 'X-Stainless-Timeout'),
  };
}

function encode({ body, encoding }: Parts): { body: Buffer; headers: Header[] } {
  switch (encoding) {
    case null:
      return { body, headers: [] };
    case 'gzip':
      return { body: gzipSync(body, { level: 1 }), headers: [['Content-Encoding', 'gzip']] };
    case 'deflate':
      return { body: deflateSync(body, { level: 1 }), headers: [['Content-Encoding', 'deflate']] };
    case 'br':
      return { body: brotliCompressSync(body.subarray(0, 2_000)), headers: [['Content-Encoding', 'br']] };
    case 'lie':
      return { body, headers: [['Content-Encoding', 'gzip']] };
  }
}

function frame(
  framing: Framing,
  body: Buffer,
  cuts: readonly number[],
): { headers: string[]; payload: Buffer } {
  const length = (bytes: number): string => `Content-Length: ${bytes}`;
  switch (framing) {
    case 'length':
    case 'cut_head':
      return { headers: [length(body.length)], payload: body };
    case 'expect':
      return { headers: [length(body.length), 'Expect: 100-continue'], payload: body };
    case 'too_long':
      return { headers: [length(body.length + 10)], payload: body };
    case 'too_short':
      return { headers: [length(Math.floor(body.length / 2))], payload: body };
    case 'none':
      return { headers: [], payload: body };
    case 'both':
      return { headers: [length(body.length), 'Transfer-Encoding: chunked'], payload: chunked(body, cuts) };
    case 'chunked':
      return { headers: ['Transfer-Encoding: chunked'], payload: chunked(body, cuts) };
    case 'bad_chunk':
      return {
        headers: ['Transfer-Encoding: chunked'],
        payload: Buffer.concat([Buffer.from('zz;\r\n'), body]),
      };
  }
}

function chunked(body: Buffer, cuts: readonly number[]): Buffer {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const cut of [...cuts, body.length]) {
    const piece = body.subarray(at, at + cut);
    at += piece.length;
    if (piece.length > 0) {
      pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
    }
  }
  return Buffer.concat([...pieces, Buffer.from('0\r\n\r\n')]);
}
