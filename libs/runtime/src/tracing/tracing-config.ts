import { z } from 'zod';

/** `name=value,name=value`, values percent-encoded, as OpenTelemetry writes headers in its environment. */
const headersSchema = z.string().transform((text, context) => {
  const headers: Record<string, string> = {};
  for (const pair of text.split(',').filter((part) => part.trim() !== '')) {
    const [, name, value] = /^\s*([\w.-]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? [];
    const decoded = decode(value);
    if (name === undefined || decoded === null) {
      context.addIssue({ code: 'custom', message: 'must be a list like name=value,name=value' });
      return z.NEVER;
    }
    headers[name] = decoded;
  }
  return headers;
});

function decode(value: string | undefined): string | null {
  try {
    return value === undefined ? null : decodeURIComponent(value);
  } catch {
    return null;
  }
}

/** How traces are made and where they go: OpenTelemetry's own variables, as far as they apply, and one of ours. */
export const tracingSettings = {
  /** Base URL of a collector that takes OTLP over HTTP; without it nothing is traced. */
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
    .optional(),
  OTEL_EXPORTER_OTLP_HEADERS: headersSchema.prefault(''),
  /** What the process is called in traces; `tollgate-` and its name if not given. */
  OTEL_SERVICE_NAME: z.string().max(200).optional(),
  OTEL_TRACES_SAMPLER: z
    .enum([
      'always_on',
      'always_off',
      'traceidratio',
      'parentbased_always_on',
      'parentbased_always_off',
      'parentbased_traceidratio',
    ])
    .default('parentbased_always_on'),
  /** The share of traces that the ratio samplers take. */
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number('must be a number').min(0).max(1).default(1),
  /** Whether a request continues the trace that its caller names in `traceparent`. */
  TRACE_CALLER_CONTEXT: z.enum(['continue', 'ignore']).default('continue'),
};

/** What the variables above are when they are read. */
export type TracingConfig = z.infer<z.ZodObject<typeof tracingSettings>>;
