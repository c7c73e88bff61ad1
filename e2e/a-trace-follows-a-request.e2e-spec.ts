import { randomBytes } from 'node:crypto';
import {
  eventually,
  startTraceCollector,
  type CollectedSpan,
  type FakeUpstream,
  type TraceCollector,
} from '@tollgate/testing';
import { EmbeddedInstallation } from './installation/embedded-installation.js';

const MODEL = 'traced-chat';
const PROMPT = 'canary-prompt-7319';
const COLLECTOR_TOKEN = 'Bearer canary-collector-token';

let collector: TraceCollector;
let installation: EmbeddedInstallation;
let upstream: FakeUpstream;
let account: { accountId: string; apiKey: string };

beforeAll(async () => {
  collector = await startTraceCollector();
  installation = await EmbeddedInstallation.start({
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
      OTEL_EXPORTER_OTLP_HEADERS: `authorization=${encodeURIComponent(COLLECTOR_TOKEN)}`,
    },
  });
  upstream = await installation.startUpstream();
  const admin = installation.admin();
  await admin.sellModel(MODEL, upstream);
  account = await admin.openAccount('5');
});

afterAll(async () => {
  await installation?.discard();
  await Promise.all([upstream?.stop(), collector?.stop()]);
});

async function ask(
  options: { stream?: boolean; sampled?: boolean } = {},
): Promise<{ traceId: string; rootId: string }> {
  const [traceId, rootId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  const response = await fetch(`${installation.gatewayUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${account.apiKey}`,
      'content-type': 'application/json',
      traceparent: `00-${traceId}-${rootId}-0${options.sampled === false ? 0 : 1}`,
    },
    body: JSON.stringify({
      model: MODEL,
      stream: options.stream ?? false,
      messages: [{ role: 'user', content: PROMPT }],
    }),
  });
  await response.text();
  expect(response.status).toBe(200);
  return { traceId, rootId };
}

/** The spans of a trace, once billing has told its part. */
async function traceOf(traceId: string): Promise<Map<string, CollectedSpan>> {
  return eventually(async () => {
    const spans = new Map(
      collector.spans.filter((span) => span.traceId === traceId).map((span) => [span.name, span]),
    );
    expect([...spans.keys()].sort()).toEqual([
      'POST /v1/chat/completions',
      'hold',
      'publish usage',
      'settle usage',
      'upstream',
    ]);
    return spans;
  });
}

describe('the trace of one request', () => {
  it.each([false, true])(
    'goes from its caller through the gateway to billing (stream: %s)',
    async (stream) => {
      const { traceId, rootId } = await ask({ stream });
      const spans = await traceOf(traceId);
      const [server, hold, attempt, publish, settle] = [
        'POST /v1/chat/completions',
        'hold',
        'upstream',
        'publish usage',
        'settle usage',
      ].map((name) => spans.get(name));
      expect(server).toMatchObject({ service: 'tollgate-gateway', parentSpanId: rootId, isFailed: false });
      for (const child of [hold, attempt, publish]) {
        expect(child).toMatchObject({ service: 'tollgate-gateway', parentSpanId: server?.spanId });
      }
      expect(settle).toMatchObject({ service: 'tollgate-billing', parentSpanId: publish?.spanId });
      const job = collector.spans.find(({ spanId }) => spanId === settle?.links[0]?.spanId);
      expect(job).toMatchObject({ service: 'tollgate-billing', name: 'settle usage job' });
      expect(server?.attributes).toMatchObject({
        'http.route': '/v1/chat/completions',
        'gen_ai.request.model': MODEL,
        'tollgate.outcome': 'completed',
        'tollgate.request_id': settle?.attributes['tollgate.request_id'],
      });
    },
  );

  it('is not recorded where its caller says that it is not sampled', async () => {
    const { traceId } = await ask({ sampled: false });
    const later = await ask();
    await traceOf(later.traceId);
    expect(collector.spans.filter((span) => span.traceId === traceId)).toEqual([]);
  });

  it('stays with us unless a deployment is set to be told of it', async () => {
    const { traceId } = await ask();
    expect((await upstream.deliveries()).at(-1)?.headers).not.toHaveProperty('traceparent');
    const admin = installation.admin();
    const { data } = await admin.get(`/deployments?model=${MODEL}`);
    await admin.patch(`/deployments/${data[0].id}`, { settings: { forwardTraceContext: true } });
    await eventually(async () => {
      const asked = await ask();
      const told = (await upstream.deliveries()).at(-1)?.headers.traceparent;
      const attempt = (await traceOf(asked.traceId)).get('upstream');
      expect(told).toBe(`00-${asked.traceId}-${attempt?.spanId}-01`);
    });
    expect((await traceOf(traceId)).size).toBe(5);
  });

  it('has a span for each call of an operator', async () => {
    await eventually(async () => {
      expect(collector.spans).toContainEqual(
        expect.objectContaining({
          service: 'tollgate-admin',
          name: 'POST /admin/v1/accounts',
          parentSpanId: null,
        }),
      );
    });
  });

  it('tells the collector who we are, and nothing of prompts, keys and accounts', async () => {
    expect([...collector.authorizations]).toEqual([COLLECTOR_TOKEN]);
    for (const secret of [
      PROMPT,
      account.apiKey,
      account.apiKey.slice(0, 12),
      account.accountId,
      installation.operatorToken,
      'upstream-secret',
      'account ',
    ]) {
      expect(collector.text).not.toContain(secret);
    }
  });
});
