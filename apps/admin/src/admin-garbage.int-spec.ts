import * as fc from 'fast-check';
import { freshKey, openAccount, startAdmin, type AdminUnderTest } from './admin.spec-kit.js';

// What a caller can send is never the server's fault: whatever it is, the answer is below 500.

const RUNS = 150;
const SEED = 20261121;

let admin: AdminUnderTest;
let accountId: string;
let keyId: string;
beforeAll(async () => {
  admin = await startAdmin();
  accountId = await openAccount(admin, '5');
  const key = await admin.call('POST', `/accounts/${accountId}/api-keys`, { body: { name: 'a' } });
  keyId = key.body.id;
  await admin.call('POST', '/models', { body: { id: 'glm-5' } });
});
afterAll(() => admin.stop());

const nasty = fc.constantFrom<unknown>(
  '\u0000',
  'a\u0000b',
  '\ud800',
  '\udfff\ud800',
  '',
  ' ',
  '0',
  '-0',
  '-0.0',
  '00',
  '9000000',
  '-9000000',
  '9999999999.999999999',
  '1e5',
  'NaN',
  '0x10',
  '१',
  '2099-01-01T00:00:00Z',
  '2099-01-01T00:00:00.123456789Z',
  '9999-12-31T23:59:60Z',
  '-000001-01-01T00:00:00Z',
  'glm-5',
  'http://127.0.0.1:1/v1',
  'http://[::1]:70000/',
  'http://[fe80::1%25eth0]/',
  'http://%00/',
  'http://' + 'a'.repeat(300) + '/',
  'javascript:alert(1)',
  "'; DROP TABLE tollgate.account; --",
  Number.MAX_SAFE_INTEGER + 2,
  Number.MAX_VALUE,
  5e-324,
  -0,
  2 ** 31,
  -(2 ** 31) - 1,
  null,
  true,
  [],
  {},
  [[]],
  { toString: 'x', constructor: 1, hasOwnProperty: null },
  'x'.repeat(3_000),
);
const anything = fc.oneof(
  { weight: 3, arbitrary: nasty },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 4 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 300 }) },
);

/** The fields of a body: mostly those that the schema knows, each mostly with a value that fits. */
function bodyOf(fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> {
  const mixed = Object.fromEntries(
    Object.entries(fields).map(([name, fits]) => [
      name,
      fc.oneof({ weight: 5, arbitrary: fits }, { weight: 2, arbitrary: anything }),
    ]),
  );
  return fc.oneof(
    { weight: 12, arbitrary: fc.record(mixed, { requiredKeys: [] }) },
    { weight: 2, arbitrary: fc.dictionary(fc.string({ unit: 'binary' }), anything) },
    { weight: 1, arbitrary: anything },
  );
}

const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 });
const amount = fc.bigInt({ min: -9_999_999n, max: 9_999_999n }).map(String);
const rates = bodyOf({
  input: fc.constant('1.5'),
  output: fc.constant('0'),
  cachedInput: fc.constant('0.000001'),
});
const price = bodyOf({
  model: fc.constant('glm-5'),
  plan: fc.stringMatching(/^[a-z0-9]{6,9}$/),
  rates,
  perRequest: fc.constant('0.1'),
  minimumCharge: fc.constant('0'),
  effectiveFrom: fc.constant('2099-01-01T00:00:00Z'),
});
const metadata = fc.dictionary(name, fc.jsonValue());

const POSTS: Record<string, [() => string, fc.Arbitrary<unknown>]> = {
  accounts: [
    () => '/accounts',
    bodyOf({
      name,
      externalId: name,
      plan: fc.constant('gold'),
      multiplier: fc.constantFrom('1', '0', '1000'),
      floor: amount,
      metadata,
    }),
  ],
  'API keys': [
    () => `/accounts/${accountId}/api-keys`,
    bodyOf({
      name,
      externalId: name,
      allowedModels: fc.array(fc.constant('glm-5')),
      expiresAt: fc.constant('2099-01-01T00:00:00Z'),
    }),
  ],
  'top-ups': [() => `/accounts/${accountId}/top-ups`, bodyOf({ amount, reference: name, note: name })],
  adjustments: [
    () => `/accounts/${accountId}/adjustments`,
    bodyOf({ kind: fc.constantFrom('grant', 'refund', 'adjustment'), amount, reference: name, note: name }),
  ],
  models: [
    () => '/models',
    bodyOf({
      id: fc.stringMatching(/^[a-z0-9]{1,12}$/),
      displayName: name,
      ownedBy: name,
      contextTokens: fc.integer({ min: 1 }),
      outputTokensMax: fc.integer({ min: 1 }),
    }),
  ],
  deployments: [
    () => '/deployments',
    bodyOf({
      name,
      externalId: name,
      provider: fc.constant('openai'),
      baseUrl: fc.constantFrom('http://127.0.0.1:1/v1', 'http://[::1]:1/'),
      credential: fc.constant('sk-x'),
      models: fc.array(
        bodyOf({
          model: fc.constant('glm-5'),
          upstreamModel: name,
          priority: fc.integer(),
          weight: fc.integer({ min: 0 }),
        }),
        { maxLength: 2 },
      ),
      apis: fc.array(fc.constantFrom('chat', 'images')),
      status: fc.constantFrom('active', 'disabled'),
      settings: bodyOf({ firstByteTimeoutMs: fc.integer(), drainOnAbortMs: fc.integer() }),
    }),
  ],
  prices: [() => '/prices', price],
  'price batches': [
    () => '/prices:batch',
    bodyOf({ prices: fc.array(price, { minLength: 1, maxLength: 2 }) }),
  ],
};

describe('garbage in a body', () => {
  it.each(Object.entries(POSTS))('never is a fault of the server: POST %s', async (_name, [path, body]) => {
    const statuses = new Map<number, number>();
    await fc.assert(
      fc.asyncProperty(body, async (sent) => {
        const { status } = await admin.call('POST', path(), { body: sent, headers: freshKey() });
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        expect(status).toBeLessThan(500);
      }),
      { seed: SEED, numRuns: RUNS },
    );
    // Garbage that is always refused at the door would prove nothing about the rooms behind it.
    expect(statuses.get(201) ?? 0).toBeGreaterThan(0);
    expect(statuses.get(422) ?? 0).toBeGreaterThan(0);
  });

  it('never is a fault of the server: bytes', async () => {
    const headers = { authorization: `Bearer ${admin.token}`, 'content-type': 'application/json' };
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((part) => Buffer.from(part)),
      fc.string({ unit: 'binary' }).map((part) => Buffer.from(`{"name":"${part}"}`)),
      fc.json().map((part) => Buffer.from(part.slice(1))),
    );
    await fc.assert(
      fc.asyncProperty(bytes, async (payload) => {
        const answer = await admin.app.inject({
          method: 'POST',
          url: '/admin/v1/accounts',
          headers,
          payload,
        });
        expect(answer.statusCode).toBeLessThan(500);
      }),
      { seed: SEED, numRuns: 2 * RUNS },
    );
  });

  it('never is a fault of the server: PATCH', async () => {
    const account = bodyOf({
      name,
      status: fc.constantFrom('active', 'suspended'),
      metadata,
      multiplier: amount,
    });
    const key = bodyOf({
      name,
      status: fc.constantFrom('active', 'disabled'),
      allowedModels: fc.constant([]),
    });
    await fc.assert(
      fc.asyncProperty(account, key, async (forAccount, forKey) => {
        const answers = await Promise.all([
          admin.call('PATCH', `/accounts/${accountId}`, { body: forAccount }),
          admin.call('PATCH', `/api-keys/${keyId}`, { body: forKey }),
        ]);
        for (const { status } of answers) expect(status).toBeLessThan(500);
      }),
      { seed: SEED, numRuns: RUNS },
    );
  });
});

const LISTS = [
  '/accounts',
  '/api-keys',
  '/transfers',
  '/models',
  '/deployments',
  '/prices',
  '/usage',
  '/audit',
];
const PARAMETERS = [
  'limit',
  'cursor',
  'q',
  'status',
  'model',
  'at',
  'from',
  'to',
  'accountId',
  'plan',
  'kind',
  'x',
];

describe('garbage in a URL', () => {
  it('never is a fault of the server: queries', async () => {
    const parameter = fc.tuple(
      fc.constantFrom(...PARAMETERS),
      fc.oneof(nasty, fc.string({ unit: 'binary' })),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...LISTS),
        fc.array(parameter, { maxLength: 3 }),
        async (list, query) => {
          const text = query.map(([field, value]) => `${field}=${escapeAny(textOf(value))}`).join('&');
          const { status } = await admin.call('GET', `${list}?${text}`);
          expect(status).toBeLessThan(500);
        },
      ),
      { seed: SEED, numRuns: 4 * RUNS },
    );
  });

  it('never is a fault of the server: paths', async () => {
    const part = fc.oneof(nasty, fc.string({ unit: 'binary' }), fc.webPath());
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...LISTS), part, async (list, id) => {
        const { status } = await admin.call('GET', `${list}/${escapeAny(textOf(id))}`);
        expect(status).toBeLessThan(500);
      }),
      { seed: SEED, numRuns: 2 * RUNS },
    );
  });
});

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Percent-encodes any UTF-16, also what is no Unicode text. */
function escapeAny(text: string): string {
  return [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}
