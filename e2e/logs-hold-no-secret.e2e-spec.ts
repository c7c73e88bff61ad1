import { marker, type BehaviourInput, type FakeUpstream } from '@tollgate/testing';
import type { AdminApi } from './installation/admin-api.js';
import { CONTENT_CANARY, UPSTREAM_CANARY } from './installation/log-canaries.js';
import { RunningInstallation } from './installation/running-installation.js';

// Every spec file looks for its secrets in the logs when it ends. This one asks for trouble, and shows that they are looked at.

const MODEL = 'discreet-chat';
const PROMPT = `my ${CONTENT_CANARY} and ${marker('discreet')}`;

const FAULTS: readonly BehaviourInput[] = [
  { alphabet: `${CONTENT_CANARY} `, chunkBytes: 64 },
  { status: 401, errorBody: `${UPSTREAM_CANARY} sk-${UPSTREAM_CANARY}` },
  { status: 500, errorBody: { error: { message: UPSTREAM_CANARY, code: UPSTREAM_CANARY } } },
  { status: 400, errorBody: `<html>${UPSTREAM_CANARY}</html>` },
  { headers: { [UPSTREAM_CANARY]: UPSTREAM_CANARY }, fault: 'broken_json', alphabet: CONTENT_CANARY },
  { fault: 'reset_before_head' },
  { fault: 'reset_mid_stream', alphabet: `${CONTENT_CANARY} `, chunkBytes: 64 },
  { fault: 'error_frame', alphabet: `${CONTENT_CANARY} `, chunkBytes: 64 },
  { usage: { prompt_tokens: -1, completion_tokens: UPSTREAM_CANARY } },
];

let installation: RunningInstallation;
let upstream: FakeUpstream;
let admin: AdminApi;
let apiKey: string;

beforeAll(async () => {
  installation = await RunningInstallation.start();
  upstream = await installation.startUpstream();
  admin = installation.admin();
  await admin.sellModel(MODEL, upstream);
  ({ apiKey } = await admin.openAccount('5'));
});

afterAll(async () => {
  await installation?.discard();
  await upstream?.stop();
});

function send(
  path: string,
  options: { headers?: Record<string, string>; body?: unknown } = {},
): Promise<number> {
  const { body, headers } = options;
  return fetch(`${installation.gatewayUrl}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  }).then(async (response) => {
    // An answer that breaks off is one of the troubles.
    await response.text().catch(() => undefined);
    return response.status;
  });
}

const chat = (more: object = {}): object => ({
  model: MODEL,
  messages: [{ role: 'user', content: PROMPT }],
  ...more,
});

describe('the logs of the gateways', () => {
  it.each(FAULTS)('hold neither prompt nor answer nor what the upstream said: %j', async (behaviour) => {
    await upstream.behave(behaviour);
    await send('/v1/chat/completions', { body: chat() });
    await send('/v1/chat/completions', { body: chat({ stream: true }) });
    await send('/v1/embeddings', { body: { model: MODEL, input: PROMPT } });
    await upstream.reset();
    expect(installation.canaries.leaksIn(installation.logs())).toEqual([]);
  });

  it('hold no key and no text of a request that is refused', async () => {
    const wrong = `sk-${'wrong'.padEnd(48, '0')}`;
    const key = { authorization: '', 'api-key': apiKey };
    const statuses = [
      await send('/v1/chat/completions', { headers: { authorization: `Bearer ${wrong}` }, body: chat() }),
      await send(`/v1/models?api_key=${apiKey}&note=${CONTENT_CANARY}`, { headers: { authorization: '' } }),
      await send(`/v1/${CONTENT_CANARY}?key=${apiKey}`, { headers: key }),
      await send('/v1/chat/completions', { body: `{"model": "${MODEL}", "messages": "${PROMPT}` }),
      await send('/v1/chat/completions', { body: chat({ temperature: CONTENT_CANARY }) }),
      await send('/v1/chat/completions', { body: chat({ model: CONTENT_CANARY, api_key: apiKey }) }),
      await send('/v1/chat/completions', { headers: { 'content-type': CONTENT_CANARY }, body: PROMPT }),
    ];
    expect(statuses.filter((status) => status >= 400).length).toBeGreaterThan(statuses.length / 2);
    expect(statuses.filter((status) => status >= 500)).toEqual([]);
    expect(installation.canaries.leaksIn(installation.logs())).toEqual([]);
  });
});

describe('the logs of the admin API', () => {
  it('hold no token and no credential, also where the call is refused', async () => {
    const credential = `sk-${UPSTREAM_CANARY}-of-a-provider`;
    await expect(installation.admin(`tgop_${'w'.repeat(40)}`).get('/accounts')).rejects.toThrow('401');
    await expect(admin.deploy('no-such-model', upstream, { credential })).rejects.toThrow(/GET|POST/);
    await expect(admin.deploy(MODEL, { baseUrl: `http://user:${credential}@[::1/v1` })).rejects.toThrow(
      '422',
    );
    await expect(admin.post('/deployments', { credential, [credential]: credential })).rejects.toThrow('422');
    expect(installation.canaries.leaksIn(installation.logs())).toEqual([]);
  });
});

describe('the look at the logs', () => {
  it('sees what each process writes', async () => {
    const names = installation.logs().map(({ name }) => name);
    for (const app of ['gateway', 'admin', 'billing']) expect(names.join(' ')).toContain(app);
    // Each of ours writes a line of JSON when it starts or serves: if such a line were secret, it would be found.
    const [line] = installation.canaries.leaksIn([
      { name: 'gateway.log', text: `{"level":50,"msg":"it failed: ${PROMPT}"}` },
    ]);
    expect(line).toMatch(/^gateway\.log: \{"level":50/);
  });

  it.each(['key', 'token', 'credential', 'URL', 'JSON'])('knows a %s again', (what) => {
    const { canaries } = installation;
    canaries.watch('a "credential" of/a test');
    const text = {
      key: `refused ${apiKey}`,
      token: `refused ${installation.operatorToken}`,
      credential: 'connecting with upstream-secret',
      URL: '/v1?key=a%20%22credential%22%20of%2Fa%20test',
      JSON: '{"sent":"a \\"credential\\" of/a test"}',
    }[what];
    expect(canaries.leaksIn([{ name: 'it', text: `fine\n${text}\nfine` }])).toEqual([`it: ${text}`]);
  });
});
