import {
  LATENCY_BOUNDS_SECONDS,
  METRICS_PATH,
  NO_SPAN,
  NO_TRACING,
  callersContext,
  type Counter,
  type CounterFamily,
  type HistogramFamily,
  type Logger,
  type ProcessMetrics,
  type Span,
  type Tracing,
  type TracingConfig,
} from '@tollgate/runtime';
import type { FastifyInstance, FastifyRequest } from 'fastify';

const NO_ROUTE = 'unknown';

/** A change that an operator made, as the audit log has it. */
export interface ToldChange {
  readonly action: string;
  readonly target: string;
  readonly actor: string;
  readonly requestId: string;
}

/** What is seen of the admin process. Names, labels and units are described in docs/observability.md. */
export class AdminTelemetry {
  private readonly requests: CounterFamily;
  private readonly durations: HistogramFamily;
  private readonly authFailures: Counter;
  private readonly changes: CounterFamily;

  constructor(
    metrics: ProcessMetrics,
    private readonly tracing: Tracing,
    private readonly logger: Logger,
  ) {
    this.requests = metrics.counter({
      name: 'tollgate_admin_requests_total',
      help: 'Requests of operators by route and status.',
      labelNames: ['route', 'method', 'status'],
    });
    this.durations = metrics.histogram({
      name: 'tollgate_admin_request_duration_seconds',
      help: 'From the head of a request to the end of its answer.',
      labelNames: ['route', 'method'],
      bounds: LATENCY_BOUNDS_SECONDS,
    });
    this.authFailures = metrics
      .counter({
        name: 'tollgate_admin_auth_failures_total',
        help: 'Requests without an operator token that is known.',
      })
      .with();
    this.changes = metrics.counter({
      name: 'tollgate_admin_changes_total',
      help: 'Changes that operators made, by action of the audit log.',
      labelNames: ['action'],
    });
  }

  /** Follows every request to the API from its head to the end of its answer. Call it before other hooks are added. */
  watch(fastify: FastifyInstance, config: Pick<TracingConfig, 'TRACE_CALLER_CONTEXT'>): void {
    fastify.addHook('onRequest', (request, reply, done) => {
      const route = request.is404 ? NO_ROUTE : (request.routeOptions.url ?? NO_ROUTE);
      if (route !== METRICS_PATH && !route.startsWith('/health/')) {
        const startedAtMs = performance.now();
        const span = this.begin(request, route, callersContext(config, request.headers));
        const { raw } = reply;
        raw.once('close', () => this.ended({ request, route, startedAtMs, span, status: raw.statusCode }));
      }
      done();
    });
  }

  /** A change was committed. */
  changed({ action, target, actor, requestId }: ToldChange): void {
    this.changes.with(action).add();
    this.logger.info({ action, target, actor, requestId }, 'an operator made a change');
  }

  private begin({ method, id }: FastifyRequest, route: string, parent: string | null): Span {
    if (this.tracing === NO_TRACING) return NO_SPAN;
    return this.tracing.begin(`${method} ${route}`, {
      kind: 'server',
      parent,
      attributes: { 'http.request.method': method, 'http.route': route, 'tollgate.request_id': id },
    });
  }

  private ended(answered: {
    readonly request: FastifyRequest;
    readonly route: string;
    readonly startedAtMs: number;
    readonly span: Span;
    readonly status: number;
  }): void {
    const { request, route, startedAtMs, span, status } = answered;
    this.requests.with(route, request.method, String(status)).add();
    this.durations.with(route, request.method).observe((performance.now() - startedAtMs) / 1_000);
    if (status === 401) this.authFailures.add();
    span.set({ 'http.response.status_code': status });
    if (status >= 500) span.fail(String(status));
    span.end();
    this.logger.debug({ requestId: request.id, route, status }, 'answered');
  }
}
