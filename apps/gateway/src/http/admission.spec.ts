import type { ApiKeyRow } from '@tollgate/persistence';
import { Health, MasterKey, NO_TRACING, ProcessMetrics, type Logger } from '@tollgate/runtime';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { CallerCache } from '../auth/caller-cache.js';
import { GatewayError } from '../relay/gateway-errors.js';
import { GatewayMetrics } from '../telemetry/gateway-metrics.js';
import { Telemetry } from '../telemetry/telemetry.js';
import { admitRequests, rewriteUrl } from './admission.js';
import { readBodiesAsBuffers } from './request-body.js';

const masterKey = MasterKey.parse(MasterKey.generate());
const KEY = 'sk-active';

const row: ApiKeyRow = {
  id: 'key-1',
  status: 'active',
  expiresAt: null,
  allowedModels: null,
  dialect: null,
  account: { id: 'account-1', status: 'active', plan: 'default', multiplierPpm: 1_000_000, dialect: null },
} as ApiKeyRow;

let logged: object[];
let seen: FastifyRequest[];
let server: FastifyInstance;

beforeEach(() => {
  logged = [];
  seen = [];
  server = Fastify({ rewriteUrl, genReqId: () => '019a0000-0000-7000-8000-000000000000' });
  const activeHash = masterKey.hashSecret('api-key', KEY);
  const callers = new CallerCache(masterKey, async (hash) => (hash.equals(activeHash) ? row : null));
  const logger = { info: (line: object) => logged.push(line) } as unknown as Logger;
  readBodiesAsBuffers(server);
  const metrics = new GatewayMetrics(new ProcessMetrics('gateway', new Health()));
  const telemetry = new Telemetry(metrics, NO_TRACING, { TRACE_CALLER_CONTEXT: 'continue' });
  admitRequests(server, { callers, logger, telemetry });
  server.setErrorHandler((error: GatewayError, _request, reply) =>
    reply.status(error.status).send(error.envelope),
  );
  for (const url of ['/v1/chat/completions', '/v1/completions']) {
    server.post(url, (request, reply) => {
      seen.push(request);
      return reply.send({});
    });
  }
});

afterEach(() => server.close());

async function post(url: string, headers: Record<string, string>, body = '{"a":1}'): Promise<number> {
  const response = await server.inject({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json', ...headers },
    payload: body,
  });
  return response.statusCode;
}

const authorized = { authorization: `Bearer ${KEY}` };

describe('admission', () => {
  it('hands on the caller, where the key was, the body and the time of arrival', async () => {
    expect(await post('/v1/chat/completions', authorized)).toBe(200);
    expect(seen[0]).toMatchObject({
      keyPlace: 'headers',
      pathModel: null,
      caller: { accountId: 'account-1' },
    });
    expect(String(seen[0]?.body)).toBe('{"a":1}');
    expect(seen[0]?.startedAtMs).toBeGreaterThan(0);
  });

  it('hands on the model that the path named, and the URL as it was sent', async () => {
    const url = '//openai/deployments/my%20gpt/chat/completions?api-version=1';
    expect(await post(url, { 'api-key': KEY })).toBe(200);
    expect(seen[0]).toMatchObject({
      pathModel: { name: 'my gpt', overridesBody: true },
      url: '/v1/chat/completions?api-version=1',
      originalUrl: url,
    });
    expect(await post('/v1/engines/davinci/completions', authorized)).toBe(200);
    expect(seen[1]?.pathModel).toEqual({ name: 'davinci', overridesBody: false });
  });

  it('finds the caller by the body, which does not hold the key any more', async () => {
    expect(await post('/chat/completions', {}, `{"api_secret_key":"${KEY}","a":1}`)).toBe(200);
    expect(seen[0]).toMatchObject({ keyPlace: 'body', caller: { accountId: 'account-1' } });
    expect(String(seen[0]?.body)).toBe('{"a":1}');
  });

  it.each(['json', '', 'text', 'application/x-www-form-urlencoded'])(
    'reads a body with a key of the content type %p',
    async (contentType) => {
      const body = `{"api_secret_key":"${KEY}"}`;
      expect(await post('/v1/completions', { 'content-type': contentType }, body)).toBe(200);
    },
  );

  it('logs how clients name their requests: printable ASCII, 512 characters at most', async () => {
    await post('/v1/completions', { ...authorized, 'x-client-request-id': `id-\u00e9\t1${'x'.repeat(600)}` });
    await post('/v1/completions', authorized);
    await post('/v1/completions', { 'x-client-request-id': 'of a stranger' });
    const [line, ...others] = logged;
    expect(others).toEqual([]);
    expect(line).toMatchObject({ requestId: '019a0000-0000-7000-8000-000000000000' });
    const { clientRequestId } = line as { clientRequestId: string };
    expect(clientRequestId).toMatch(/^id-1x+$/);
    expect(clientRequestId.length).toBeLessThanOrEqual(512);
  });

  it('refuses before anything of the body is read: caller, path, size', async () => {
    expect(await post('/v1/nothing', {})).toBe(401);
    expect(await post('/v1/nothing', authorized)).toBe(404);
    expect(await post('/v1/models', authorized)).toBe(405);
    const large = { 'content-length': String(40 * 1024 * 1024) };
    expect(await post('/v1/completions', { authorization: 'Bearer sk-wrong', ...large })).toBe(401);
    expect(await post('/v1/completions', large)).toBe(401);
    expect(await post('/v1/completions', { ...authorized, ...large })).toBe(413);
    expect(seen).toEqual([]);
  });
});
