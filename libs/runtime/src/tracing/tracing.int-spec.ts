import { eventually, startTraceCollector, type TraceCollector } from '@tollgate/testing';
import { z } from 'zod';
import { createLogger } from '../logger.js';
import { NO_SPAN, within } from './span.js';
import type { Tracing } from './traced-process.js';
import { NO_TRACING, callersContext, startTracing } from './tracing.js';
import { tracingSettings } from './tracing-config.js';

const configSchema = z.object(tracingSettings);
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SPAN_ID = 'b7ad6b7169203331';

let collector: TraceCollector;
let tracing: Tracing;

beforeAll(async () => {
  collector = await startTraceCollector();
});

afterEach(() => tracing?.stop());
afterAll(() => collector?.stop());

async function start(environment: Record<string, string> = {}): Promise<Tracing> {
  const config = configSchema.parse({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint, ...environment });
  tracing = await startTracing({ name: 'test', config, logger: createLogger('test', 'silent') });
  return tracing;
}

function parent(flags: '00' | '01'): string {
  return `00-${TRACE_ID}-${SPAN_ID}-${flags}`;
}

describe('startTracing', () => {
  it('does nothing without a collector', async () => {
    const config = configSchema.parse({});
    expect(await startTracing({ name: 'test', config, logger: createLogger('test', 'silent') })).toBe(
      NO_TRACING,
    );
    expect(NO_TRACING.begin('any', {})).toBe(NO_SPAN);
  });

  it('sends spans with their place in the trace, their links and their failures', async () => {
    const traces = await start({ OTEL_SERVICE_NAME: 'mine' });
    const link = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
    const span = traces.begin('outer', {
      kind: 'server',
      parent: parent('01'),
      links: [link],
      attributes: { n: 1 },
    });
    await expect(within(span, 'inner', () => Promise.reject(new TypeError('secret')))).rejects.toThrow(
      TypeError,
    );
    span.end();
    await tracing.stop();
    const [inner, outer] = ['inner', 'outer'].map((name) =>
      collector.spans.find((sent) => sent.name === name),
    );
    expect(outer).toMatchObject({
      service: 'mine',
      traceId: TRACE_ID,
      parentSpanId: SPAN_ID,
      isFailed: false,
      links: [{ traceId: '1'.repeat(32), spanId: '2'.repeat(16) }],
    });
    expect(inner).toMatchObject({
      traceId: TRACE_ID,
      parentSpanId: outer?.spanId,
      isFailed: true,
      attributes: { 'error.type': 'TypeError' },
    });
    expect(collector.text).not.toContain('secret');
  });

  it.each([
    ['parentbased_always_on', '1', [true, false, true]],
    ['parentbased_always_off', '1', [true, false, false]],
    ['parentbased_traceidratio', '0', [true, false, false]],
    ['traceidratio', '1', [true, true, true]],
    ['always_off', '1', [false, false, false]],
  ] as const)('samples by %s (%s)', async (sampler, argument, expected) => {
    const traces = await start({ OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: argument });
    const sampled = [parent('01'), parent('00'), null].map(
      (given) => traces.begin('x', { parent: given }) !== NO_SPAN,
    );
    expect(sampled).toEqual(expected);
    expect(traces.begin('x', { isForced: true })).not.toBe(NO_SPAN);
  });

  it.each([
    '',
    'nonsense',
    `00-${'0'.repeat(32)}-${SPAN_ID}-01`,
    `ff-${TRACE_ID}-${SPAN_ID}-01`,
    `${parent('01')}-x`,
  ])('begins a trace of its own where the caller sends %p', async (given) => {
    const span = (await start()).begin('x', { parent: given });
    expect(span.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(span.traceId).not.toBe(TRACE_ID);
  });

  it('says once a minute that its collector is away, and stops all the same', async () => {
    const lines: string[] = [];
    const config = configSchema.parse({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' });
    const logger = createLogger('test', 'info', { write: (line) => lines.push(line) });
    tracing = await startTracing({ name: 'test', config, logger });
    tracing.begin('one', {}).end();
    await eventually(async () => expect(lines).toHaveLength(1));
    tracing.begin('two', {}).end();
    await tracing.stop();
    expect(lines).toHaveLength(1);
  }, 20_000);
});

describe('callersContext', () => {
  const headers = { traceparent: parent('01') };

  it('is what callers send, unless their word does not count', () => {
    expect(callersContext({ TRACE_CALLER_CONTEXT: 'continue' }, headers)).toBe(parent('01'));
    expect(callersContext({ TRACE_CALLER_CONTEXT: 'ignore' }, headers)).toBeNull();
    expect(callersContext({ TRACE_CALLER_CONTEXT: 'continue' }, {})).toBeNull();
  });
});

describe('OTEL_EXPORTER_OTLP_HEADERS', () => {
  it('is a list of names and encoded values', () => {
    const { OTEL_EXPORTER_OTLP_HEADERS: headers } = configSchema.parse({
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20x, x-team = a=b ,',
    });
    expect(headers).toEqual({ authorization: 'Bearer x', 'x-team': 'a=b' });
  });

  it.each(['no value', '=x', 'a=%zz'])('refuses %p without repeating it', (text) => {
    const parsed = configSchema.safeParse({ OTEL_EXPORTER_OTLP_HEADERS: text });
    expect(parsed.error?.issues[0]?.message).toBe('must be a list like name=value,name=value');
  });
});
