import type { IncomingHttpHeaders } from 'node:http';
import { NO_SPAN } from './span.js';
import type { TracedProcess, Tracing } from './traced-process.js';
import type { TracingConfig } from './tracing-config.js';

/** Records nothing and costs nothing. */
export const NO_TRACING: Tracing = { begin: () => NO_SPAN, stop: () => Promise.resolve() };

/** Starts tracing where a collector is configured; OpenTelemetry is loaded only then. */
export async function startTracing(traced: TracedProcess): Promise<Tracing> {
  if (traced.config.OTEL_EXPORTER_OTLP_ENDPOINT === undefined) return NO_TRACING;
  const { openTelemetry } = await import('./open-telemetry.js');
  return openTelemetry(traced, traced.config.OTEL_EXPORTER_OTLP_ENDPOINT);
}

/** The caller's `traceparent`, where the configuration lets callers continue their traces here. */
export function callersContext(
  { TRACE_CALLER_CONTEXT }: Pick<TracingConfig, 'TRACE_CALLER_CONTEXT'>,
  headers: IncomingHttpHeaders,
): string | null {
  const { traceparent } = headers;
  return TRACE_CALLER_CONTEXT === 'continue' && typeof traceparent === 'string' ? traceparent : null;
}
