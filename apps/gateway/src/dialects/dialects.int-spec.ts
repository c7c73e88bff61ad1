import { request as httpRequest } from 'node:http';
import { MasterKey, type RunningProcess } from '@tollgate/runtime';
import {
  createTestDatabase,
  eventually,
  seedInstallation,
  startFakeUpstream,
  type FakeUpstream,
  type SeededInstallation,
  type TestDatabase,
} from '@tollgate/testing';
import { Client } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { bootGateway } from '../boot.js';
import { gatewayConfigSchema } from '../gateway.config.js';

// Real: Postgres, the gateway in this process, an upstream on loopback.

const NANO = 1_000_000_000n;
const SCRIPT = '/index.php/api/v1';
const masterKey = MasterKey.generate();

let database: TestDatabase;
let upstream: FakeUpstream;
let gateway: RunningProcess;
let baseUrl: string;
let owner: Client;

beforeAll(async () => {
  [database, upstream] = await Promise.all([createTestDatabase(), startFakeUpstream()]);
  await sell('gpt-3.5-turbo');
  await sell('text-embedding-ada-002', { input: '100000' });
  owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
  gateway = await bootGateway(
    gatewayConfigSchema.parse({
      PORT: '0',
      DATABASE_URL: database.appUrl,
      MASTER_KEY: masterKey,
      LOG_LEVEL: 'silent',
      DIALECT_HOSTS: 'legacy.example=kuaiai, Azure.Example=apigpt-azure',
    }),
  );
  baseUrl = await (gateway.app as unknown as { getUrl(): Promise<string> }).getUrl();
});

afterAll(async () => {
  await gateway?.app.close();
  await Promise.all([upstream?.stop(), owner?.end()]);
  await database?.drop();
});

beforeEach(() => upstream.reset());

function sell(
  model: string,
  rates: Readonly<Record<string, string>> = { input: '150000', output: '600000' },
): Promise<SeededInstallation> {
  return seedInstallation({
    ownerUrl: database.ownerUrl,
    masterKey,
    upstreams: [upstream.baseUrl],
    model,
    rates,
  });
}

interface Person {
  readonly accountId: string;
  readonly apiKeyId: string;
  readonly key: string;
}

/** An account of its own with a key, each with a dialect or none. */
async function person(
  settings: { account?: string | null; key?: string | null; balanceNano?: bigint } = {},
): Promise<Person> {
  const { account = null, key = null, balanceNano = 10n * NANO } = settings;
  const seeded = await seedInstallation({
    ownerUrl: database.ownerUrl,
    masterKey,
    upstreams: [],
    model: 'unused',
    balanceNano,
  });
  await owner.query('UPDATE tollgate.account SET dialect = $2 WHERE id = $1', [seeded.accountId, account]);
  await owner.query('UPDATE tollgate.api_key SET dialect = $2 WHERE id = $1', [seeded.apiKeyId, key]);
  return { accountId: seeded.accountId, apiKeyId: seeded.apiKeyId, key: seeded.apiKey };
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly text: string;
  readonly json: any;
}

interface Sending {
  /** The key for the `Authorization` header; none if not given. */
  readonly key?: string;
  readonly headers?: Record<string, string>;
}

function post(path: string, body: unknown, { key, headers = {} }: Sending = {}): Promise<Answer> {
  const { hostname, port } = new URL(baseUrl);
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      {
        hostname,
        port,
        path,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(key !== undefined && { authorization: `Bearer ${key}` }),
          ...headers,
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece) => (text += String(piece)));
        response.on('end', () => {
          const { statusCode = 0, headers: answered } = response;
          const isJson = String(answered['content-type']).startsWith('application/json');
          resolve({ status: statusCode, headers: answered, text, json: isJson ? JSON.parse(text) : null });
        });
      },
    );
    sent.once('error', reject);
    sent.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
}

const hello = { role: 'user', content: 'hello' };
const CHAT = '/v1/chat/completions';

async function lastBody(): Promise<any> {
  return (await upstream.deliveries()).at(-1)?.body;
}

/** Nano-credits that are held for an account and that it was charged, its events not settled yet. */
async function heldOf({ accountId }: Person): Promise<bigint> {
  const { rows } = await owner.query('SELECT held FROM tollgate.account WHERE id = $1', [accountId]);
  return BigInt(rows[0].held);
}

async function eventOf({ apiKeyId }: Person): Promise<any> {
  let found: any;
  await eventually(async () => {
    const { rows } = await owner.query('SELECT data FROM bullmq.job');
    const jobs = rows.map(({ data }) => (typeof data === 'string' ? JSON.parse(data) : data));
    found = jobs.flatMap(({ events }) => events).find((event: any) => event.apiKeyId === apiKeyId);
    expect(found).toBeDefined();
  });
  return found;
}

describe('the dialect of a request', () => {
  it('is OpenAI’s, strict, where nothing says otherwise', async () => {
    const { key } = await person();
    const missing = await post(CHAT, { messages: [hello] }, { key });
    expect([missing.status, missing.json.error.param]).toEqual([400, 'model']);
    expect(Object.keys(missing.json)).toEqual(['error']);
    const form = await post(CHAT, 'model=gpt-3.5-turbo&messages[0][role]=user', {
      key,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect([form.status, form.json.error.code]).toEqual([400, 'unsupported_content_type']);
    const alias = await post(CHAT, { model: 'gpt-3.5', messages: [hello] }, { key });
    expect([alias.status, alias.json.error.code]).toEqual([404, 'model_not_found']);
  });

  it('is the account’s, unless the key has one', async () => {
    const ofAccount = await person({ account: 'kuaiai' });
    const ofKey = await person({ account: 'kuaiai', key: 'openai' });
    const body = { messages: [hello] };
    expect((await post(CHAT, body, { key: ofAccount.key })).json).toMatchObject({ model: 'gpt-3.5-turbo' });
    expect((await post(CHAT, body, { key: ofKey.key })).status).toBe(400);
  });

  it('changes within a second of the setting', async () => {
    const { key, accountId } = await person();
    const body = { messages: [hello] };
    expect((await post(CHAT, body, { key })).status).toBe(400);
    await owner.query(`UPDATE tollgate.account SET dialect = 'app4gpt' WHERE id = $1`, [accountId]);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect((await post(CHAT, body, { key })).status).toBe(200);
  });

  it('is the host’s where nobody set one', async () => {
    const { key } = await person();
    const body = { messages: [hello] };
    const legacy = await post(CHAT, body, { key, headers: { host: 'Legacy.Example:8080' } });
    expect(legacy.json).toMatchObject({ model: 'gpt-3.5-turbo', object: 'chat.completion' });
    const azure = await post(CHAT, body, { key, headers: { host: 'azure.example' } });
    expect(azure.json).toMatchObject({ model: 'gpt-35-turbo' });
    const set = await person({ account: 'openai' });
    expect((await post(CHAT, body, { key: set.key, headers: { host: 'azure.example' } })).status).toBe(400);
  });

  it('is the one of its path before the host’s, and not before a setting', async () => {
    const { key } = await person();
    const path = `${SCRIPT}/chat/completions`;
    const body = { messages: [hello] };
    const byPath = await post(path, body, { key, headers: { host: 'azure.example' } });
    expect(byPath.json).toMatchObject({ code: 0, msg: '', model: 'gpt-3.5' });
    const set = await person({ key: 'chatkore' });
    expect((await post(path, body, { key: set.key })).json).not.toHaveProperty('code');
  });

  it('is told by a key in the body where nothing else tells, whatever the path', async () => {
    const { key } = await person();
    for (const path of [CHAT, '/api/v1/chat/completions', `${SCRIPT}/chat/completions`]) {
      const answer = await post(path, { api_secret_key: key, messages: [hello] });
      expect([answer.status, answer.json.code]).toEqual([200, 0]);
    }
  });
});

describe('bodies', () => {
  const nested = `messages[0][role]=user&messages[0][content]=${encodeURIComponent('你好 1+1=?')}&max_tokens=9&n=2`;

  it.each(['application/x-www-form-urlencoded', 'application/json', 'text/plain'])(
    'are read as forms under the content type %s',
    async (contentType) => {
      const { key } = await person({ account: 'kuaiai' });
      const answer = await post(CHAT, `${nested}&stream=false`, {
        key,
        headers: { 'content-type': contentType },
      });
      expect(answer.status).toBe(200);
      expect(await lastBody()).toEqual({
        model: 'upstream-gpt-3.5-turbo',
        messages: [{ role: 'user', content: '你好 1+1=?' }],
        max_tokens: 9,
        n: 2,
        stream: false,
      });
    },
  );

  it('are read as JSON with trailing commas under any content type, and their key goes nowhere', async () => {
    const { key } = await person();
    const body = `{"api_secret_key":"${key}","messages":[${JSON.stringify(hello)},],}`;
    const answer = await post(`${SCRIPT}/chat/completions`, body, {
      headers: { 'content-type': 'text/plain' },
    });
    expect(answer.json).toMatchObject({ code: 0, choices: [{ message: { role: 'assistant' } }] });
    expect(JSON.stringify(await upstream.deliveries())).not.toContain(key);
  });

  it('that nobody can read are refused in the dialect', async () => {
    const { key } = await person({ account: 'xiaoyi' });
    for (const body of ['hello', '', '[1]', '{"messages":']) {
      const answer = await post(CHAT, body, { key });
      expect([answer.status, answer.json.code, answer.json.error.type]).toEqual([
        400,
        40_001,
        'invalid_request_error',
      ]);
    }
    const multipart = { 'content-type': 'multipart/form-data; boundary=x' };
    const answer = await post(CHAT, '--x\r\nname="a"', { key, headers: multipart });
    expect(answer.json.error.code).toBe('unsupported_content_type');
  });
});

describe('the envelope with codes', () => {
  const path = `${SCRIPT}/chat/completions`;
  let rich: Person;
  let poor: Person;

  beforeAll(async () => {
    [rich, poor] = [await person(), await person({ balanceNano: 0n })];
  });

  it('has status 200 and a code where the key is in the body, and the status too where it is not', async () => {
    const two = { messages: [hello, hello] };
    const unknown = { model: 'nope', messages: [hello] };
    const cases = [
      { body: two, key: rich.key, status: 400, code: 40_001 },
      { body: unknown, key: rich.key, status: 404, code: 40_401 },
      { body: { messages: [hello] }, key: 'sk-wrong-key-of-nobody', status: 401, code: 40_101 },
      { body: { messages: [hello] }, key: poor.key, status: 429, code: 40_201 },
    ];
    for (const { body, key, status, code } of cases) {
      const inBody = await post(path, { ...body, api_secret_key: key });
      expect([inBody.status, inBody.json.code]).toEqual([200, code]);
      expect(inBody.json.msg).toMatch(/[\u4e00-\u9fff]+：.+/);
      const inHeader = await post(path, body, { key });
      expect([inHeader.status, inHeader.json.code]).toEqual([status, code]);
      expect(inHeader.json.error).toMatchObject({ message: expect.any(String), type: expect.any(String) });
      expect(inHeader.headers['x-request-id']).toMatch(/^req_[0-9a-f]{32}$/);
    }
    expect(await upstream.arrivals()).toBe(0);
    expect([await heldOf(rich), await heldOf(poor)]).toEqual([0n, 0n]);
  });

  it('takes a request without any key for one that forgot it in the body, on its path only', async () => {
    const forgotten = await post(path, { messages: [hello] });
    expect([forgotten.status, forgotten.json.code]).toEqual([200, 40_101]);
    const elsewhere = await post(CHAT, { messages: [hello] });
    expect([elsewhere.status, elsewhere.json.code]).toEqual([401, undefined]);
  });

  it('tells of upstreams that fail, and charges nothing', async () => {
    const body = { messages: [hello] };
    await upstream.behave({ status: 500 });
    const failed = await post(path, { ...body, api_secret_key: rich.key });
    expect([failed.status, failed.json.code]).toEqual([200, 50_201]);
    await upstream.behave({ status: 429 });
    const busy = await post(path, body, { key: rich.key });
    expect([busy.status, busy.json.code]).toEqual([429, 42_901]);
    await eventually(async () => {
      expect(await heldOf(rich)).toBe(0n);
    });
  });

  it('is not there in answers of the other dialect with a key in the header, only in its errors', async () => {
    const { key } = await person({ account: 'kuaiai' });
    const answered = await post(CHAT, { messages: [hello] }, { key });
    expect(answered.json).not.toHaveProperty('code');
    expect(answered.json).not.toHaveProperty('msg');
    const refused = await post(CHAT, { model: 'nope', messages: [hello] }, { key });
    expect([refused.status, refused.json.code, refused.json.error.code]).toEqual([
      404,
      40_401,
      'model_not_found',
    ]);
    const withKey = await post(CHAT, { messages: [hello], api_secret_key: key });
    expect([withKey.status, withKey.json.code]).toEqual([200, 0]);
  });

  it('does not change streams', async () => {
    const { key } = await person();
    const answer = await post(path, { messages: [hello], api_secret_key: key, stream: true });
    expect(answer.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(answer.text.startsWith('data: {"id":"chatcmpl-')).toBe(true);
    expect(answer.text.endsWith('data: [DONE]\n\n')).toBe(true);
    expect(answer.text).toContain('"model":"gpt-3.5"');
    expect(answer.text).not.toContain('"code"');
    const refused = await post(path, { messages: [hello], api_secret_key: poor.key, stream: true });
    expect([refused.status, refused.json.code]).toEqual([200, 40_201]);
  });
});

describe('a conversation that is too long', () => {
  it('loses its oldest pairs, says so, and pays for what is left', async () => {
    const someone = await person();
    const long = { role: 'user', content: '字'.repeat(1_200) };
    const messages = [
      long,
      { role: 'assistant', content: '好' },
      long,
      { role: 'assitant', content: '好' },
      hello,
    ];
    const answer = await post(`${SCRIPT}/chat/completions`, { api_secret_key: someone.key, messages });
    expect(answer.headers['x-history-dropped']).toBe('2');
    expect(answer.json.code).toBe(0);
    const sent = await lastBody();
    expect(sent.messages).toEqual([long, { role: 'assistant', content: '好' }, hello]);
    const event = await eventOf(someone);
    const bytes = Buffer.byteLength(long.content + '好' + hello.content);
    expect(event.units.input).toBeLessThan(bytes / 2);
    const streamed = await post(`${SCRIPT}/chat/completions`, {
      api_secret_key: someone.key,
      messages,
      stream: true,
    });
    expect(streamed.headers['x-history-dropped']).toBe('2');
  });

  it('is left as it is in every other dialect', async () => {
    const { key } = await person({ account: 'kuaiai' });
    const long = { role: 'user', content: '字'.repeat(3_000) };
    const answer = await post(CHAT, { messages: [long, long] }, { key });
    expect([answer.status, answer.headers['x-history-dropped']]).toEqual([200, undefined]);
  });
});

describe('models that stand in for others', () => {
  it('answer under the name that was asked for, at their own price', async () => {
    const someone = await person({ account: 'app4gpt' });
    const { key } = someone;
    const answer = await post(CHAT, { model: 'gpt-3.5-turbo-0301', messages: [hello] }, { key });
    expect(answer.json.model).toBe('gpt-3.5-turbo-0301');
    expect(await lastBody()).toMatchObject({ model: 'upstream-gpt-3.5-turbo' });
    expect(await eventOf(someone)).toMatchObject({ model: 'gpt-3.5-turbo' });
  });

  it('are only those that the key may use', async () => {
    const someone = await person({ account: 'app4gpt' });
    const { key, apiKeyId } = someone;
    await owner.query('UPDATE tollgate.api_key SET allowed_models = $2 WHERE id = $1', [apiKeyId, ['other']]);
    const body = { model: 'gpt-3.5-turbo-0301', messages: [hello] };
    expect((await post(CHAT, body, { key })).json.error.code).toBe('model_not_allowed');
    await owner.query('UPDATE tollgate.api_key SET allowed_models = $2 WHERE id = $1', [
      apiKeyId,
      ['gpt-3.5-turbo'],
    ]);
    await eventually(async () => {
      expect((await post(CHAT, body, { key })).status).toBe(200);
    });
  });

  it('are named by the model that was asked for where there is none', async () => {
    const { key } = await person({ account: 'app4gpt' });
    const answer = await post(CHAT, { model: 'gpt-4-32k', messages: [hello] }, { key });
    expect(answer.status).toBe(404);
    expect(answer.json.error.message).toContain('`gpt-4-32k`');
  });
});

describe('completions without max_tokens', () => {
  it('end after 16 tokens, but in the dialect where the model ends them', async () => {
    const body = { model: 'gpt-3.5-turbo', prompt: 'I am a' };
    const usual = await post('/v1/completions', body, { key: (await person({ account: 'app4gpt' })).key });
    expect(usual.json).toMatchObject({ object: 'text_completion', model: 'gpt-3.5-turbo' });
    expect(await lastBody()).toMatchObject({ max_tokens: 16 });
    const { key } = await person({ account: 'apigpt' });
    expect((await post('/v1/completions', body, { key })).json).toMatchObject({ object: 'text_completion' });
    expect(await lastBody()).not.toHaveProperty('max_tokens');
    await post('/v1/completions', { ...body, max_tokens: 7 }, { key });
    expect(await lastBody()).toMatchObject({ max_tokens: 7 });
  });
});

describe('a model spelled as Azure would', () => {
  it('is so in answers and chunks', async () => {
    const { key } = await person({ account: 'apigpt-azure' });
    const plain = await post(CHAT, { messages: [hello] }, { key });
    expect(plain.json.model).toBe('gpt-35-turbo');
    const streamed = await post(CHAT, { messages: [hello], stream: true }, { key });
    expect(streamed.text).toContain('"model":"gpt-35-turbo"');
    const again = await post(CHAT, { model: 'gpt-35-turbo', messages: [hello] }, { key });
    expect(again.json.model).toBe('gpt-35-turbo');
  });
});

describe('a minimum charge of 4 points for embeddings', () => {
  const body = { input: '哈哈哈哈哈' };

  beforeAll(async () => {
    await owner.query(
      `INSERT INTO tollgate.price (id, model, plan, rates, minimum_charge, effective_from)
       VALUES ($1, 'text-embedding-ada-002', 'default', '{"input": "250000"}', $2, now())`,
      [uuidv7(), (4n * NANO).toString()],
    );
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  });

  it('is held from the beginning, and charged once however many texts there are', async () => {
    const someone = await person({ account: 'chatkore', balanceNano: 4n * NANO });
    await upstream.behave({ held: true });
    const answering = post(
      '/v1/embeddings',
      { input: Array.from({ length: 100 }, () => '哈') },
      { key: someone.key },
    );
    await upstream.waitForArrivals(1);
    expect(await heldOf(someone)).toBe(4n * NANO);
    await upstream.release();
    const answer = await answering;
    expect(answer.json).toMatchObject({ object: 'list', model: 'text-embedding-ada-002' });
    expect(answer.json.data).toHaveLength(100);
    expect(answer.headers).toMatchObject({ 'x-credits-charged': '4', 'x-credits-remaining': '0' });
    expect(await eventOf(someone)).toMatchObject({ costNano: (4n * NANO).toString(), billable: true });
  });

  it('refuses a balance of 3 points, though the tokens cost far less', async () => {
    const someone = await person({ account: 'chatkore', balanceNano: 3n * NANO });
    const answer = await post('/v1/embeddings', body, { key: someone.key });
    expect([answer.status, answer.json.error.code]).toEqual([429, 'insufficient_quota']);
    expect(await heldOf(someone)).toBe(0n);
    expect(await upstream.arrivals()).toBe(0);
  });

  it('is not charged for a request that fails', async () => {
    const someone = await person({ account: 'chatkore', balanceNano: 4n * NANO });
    await upstream.behave({ status: 500 });
    expect((await post('/v1/embeddings', body, { key: someone.key })).status).toBe(502);
    expect(await eventOf(someone)).toMatchObject({ costNano: '0', billable: false });
    await eventually(async () => {
      expect(await heldOf(someone)).toBe(0n);
    });
  });
});
