import { requestIdToWire } from '@tollgate/contracts';
import {
  METRICS_PATH,
  NO_SPAN,
  NO_TRACING,
  callersContext,
  type Span,
  type Tracing,
  type TracingConfig,
} from '@tollgate/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { GatewayMetrics } from './gateway-metrics.js';
import { ObservedRequest } from './observed-request.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Null for what is no request to the API: health, metrics, preflights. */
    observed: ObservedRequest | null;
  }
}

const NO_ROUTE = 'unknown';

/** What the requests of this process are watched with. */
export class Telemetry {
  constructor(
    readonly metrics: GatewayMetrics,
    private readonly tracing: Tracing,
    private readonly config: Pick<TracingConfig, 'TRACE_CALLER_CONTEXT'>,
  ) {}

  /** Follows a request from its head to the end of its answer. */
  observe(request: FastifyRequest, reply: FastifyReply): void {
    const endpoint = request.is404 ? NO_ROUTE : (request.routeOptions.url ?? NO_ROUTE);
    if (endpoint === '/' || endpoint === METRICS_PATH || endpoint.startsWith('/health/')) return;
    const { id: requestId, startedAtMs } = request;
    const span = this.tracing === NO_TRACING ? NO_SPAN : this.begin(request, endpoint);
    const observed = new ObservedRequest(this.metrics, { requestId, endpoint, startedAtMs, span });
    request.observed = observed;
    const { raw } = reply;
    raw.once('close', () => observed.answerEnds({ status: raw.statusCode, isBegun: raw.headersSent }));
  }

  private begin({ method, headers, id }: FastifyRequest, endpoint: string): Span {
    return this.tracing.begin(`${method} ${endpoint}`, {
      kind: 'server',
      parent: callersContext(this.config, headers),
      attributes: {
        'http.request.method': method,
        'http.route': endpoint,
        'tollgate.request_id': requestIdToWire(id),
      },
    });
  }
}
