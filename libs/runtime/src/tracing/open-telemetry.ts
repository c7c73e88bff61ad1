import { setTimeout as delay } from 'node:timers/promises';
import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
  type Context,
  type Link,
  type SpanContext,
  type Span as RecordedSpan,
  type Tracer,
} from '@opentelemetry/api';
import { ExportResultCode, parseTraceParent } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  type Sampler,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base';
import { ATTR_ERROR_TYPE, ATTR_SERVICE_NAME } from '@opentelemetry/semantic-conventions';
import { NO_SPAN, type Span, type SpanAttributes, type SpanOptions } from './span.js';
import type { RootOptions, TracedProcess, Tracing } from './traced-process.js';
import type { TracingConfig } from './tracing-config.js';

const EXPORT_DELAY_MS = 1_000;
const EXPORT_TIMEOUT_MS = 5_000;
/** Spans that wait for the collector at most; more are dropped. */
const WAITING_SPANS_MAX = 10_000;
const SPANS_PER_EXPORT_MAX = 512;
/** How long a process that stops waits for its collector. */
const STOP_TIMEOUT_MS = 3_000;
/** A collector that is away is worth one line in so long. */
const COMPLAINT_INTERVAL_MS = 60_000;
const ATTRIBUTE_LENGTH_MAX = 256;

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;

/**
 * Traces by OpenTelemetry's SDK, sent as OTLP over HTTP. Nothing is registered globally and no context is ambient: spans
 * are handed on by whoever works for them.
 */
export function openTelemetry({ name, config, logger }: TracedProcess, endpoint: string): Tracing {
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    headers: config.OTEL_EXPORTER_OTLP_HEADERS,
    timeoutMillis: EXPORT_TIMEOUT_MS,
  });
  const complain = (error: Error | undefined): void => {
    logger.warn({ err: error }, 'the collector of traces did not take spans');
  };
  const processor = new BatchSpanProcessor(complaining(exporter, complain), {
    maxQueueSize: WAITING_SPANS_MAX,
    maxExportBatchSize: SPANS_PER_EXPORT_MAX,
    scheduledDelayMillis: EXPORT_DELAY_MS,
    exportTimeoutMillis: EXPORT_TIMEOUT_MS,
  });
  const tracerWith = (sampler: Sampler): Tracer =>
    new BasicTracerProvider({
      sampler,
      resource: resourceFromAttributes({
        [ATTR_SERVICE_NAME]: config.OTEL_SERVICE_NAME ?? `tollgate-${name}`,
      }),
      spanLimits: { attributeValueLengthLimit: ATTRIBUTE_LENGTH_MAX },
      spanProcessors: [processor],
    }).getTracer('tollgate');
  const tracers = { sampled: tracerWith(samplerOf(config)), forced: tracerWith(new AlwaysOnSampler()) };
  return {
    begin: (spanName, options) => {
      const { parent = null, links = [], isForced = false } = options;
      const tracer = isForced ? tracers.forced : tracers.sampled;
      return startSpan({ tracer, name: spanName, context: contextOf(parent), options, links });
    },
    stop: async () => {
      const late = new AbortController();
      const gaveUp = delay(STOP_TIMEOUT_MS, undefined, { signal: late.signal }).catch(() => undefined);
      await Promise.race([processor.shutdown().catch(() => undefined), gaveUp]);
      late.abort();
    },
  };
}

function samplerOf({ OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG }: TracingConfig): Sampler {
  const root = rootSampler(OTEL_TRACES_SAMPLER.replace('parentbased_', ''), OTEL_TRACES_SAMPLER_ARG);
  return OTEL_TRACES_SAMPLER.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root;
}

function rootSampler(name: string, ratio: number): Sampler {
  if (name === 'traceidratio') return new TraceIdRatioBasedSampler(ratio);
  return name === 'always_off' ? new AlwaysOffSampler() : new AlwaysOnSampler();
}

/** Tells of exports that failed, not of each. The SDK itself keeps silent. */
function complaining(exporter: SpanExporter, complain: (error: Error | undefined) => void): SpanExporter {
  let silentUntilMs = Number.NEGATIVE_INFINITY;
  return {
    export: (spans, done) => {
      exporter.export(spans, (result) => {
        const nowMs = performance.now();
        if (result.code !== ExportResultCode.SUCCESS && nowMs > silentUntilMs) {
          silentUntilMs = nowMs + COMPLAINT_INTERVAL_MS;
          complain(result.error);
        }
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    ...(exporter.forceFlush !== undefined && {
      forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    }),
  };
}

function remoteSpan(traceparent: string | null): SpanContext | null {
  const parsed = traceparent === null ? null : parseTraceParent(traceparent);
  return parsed === null ? null : { ...parsed, isRemote: true };
}

function contextOf(traceparent: string | null): Context {
  const remote = remoteSpan(traceparent);
  return remote === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote);
}

interface SpanStart {
  readonly tracer: Tracer;
  readonly name: string;
  readonly context: Context;
  readonly options: SpanOptions;
  readonly links?: NonNullable<RootOptions['links']>;
}

/** A span that is not sampled is none: what works for it hands nothing on and costs nothing. */
function startSpan({ tracer, name, context, options, links = [] }: SpanStart): Span {
  const { kind = 'internal', attributes = {} } = options;
  const linked = links.map(remoteSpan).filter((link) => link !== null);
  const recorded = tracer.startSpan(
    name,
    {
      kind: KINDS[kind],
      attributes: { ...attributes },
      links: linked.map((link): Link => ({ context: link })),
    },
    context,
  );
  return recorded.isRecording() ? new OpenTelemetrySpan(tracer, recorded) : NO_SPAN;
}

class OpenTelemetrySpan implements Span {
  readonly traceparent: string;
  readonly traceId: string;

  constructor(
    private readonly tracer: Tracer,
    private readonly recorded: RecordedSpan,
  ) {
    const { traceId, spanId, traceFlags } = recorded.spanContext();
    this.traceId = traceId;
    this.traceparent = `00-${traceId}-${spanId}-0${String(traceFlags & TraceFlags.SAMPLED)}`;
  }

  child(name: string, options: SpanOptions = {}): Span {
    const context = trace.setSpan(ROOT_CONTEXT, this.recorded);
    return startSpan({ tracer: this.tracer, name, context, options });
  }

  set(attributes: SpanAttributes): void {
    this.recorded.setAttributes({ ...attributes });
  }

  fail(errorType: string): void {
    this.recorded.setStatus({ code: SpanStatusCode.ERROR });
    this.recorded.setAttribute(ATTR_ERROR_TYPE, errorType);
  }

  end(): void {
    if (this.recorded.isRecording()) this.recorded.end();
  }
}
