import { timingSafeEqual, createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ProcessMetrics } from './process-metrics.js';

/** Who may read the metrics, and what others are told. */
export interface MetricsAccess {
  /** The bearer token to ask for; without one only this machine may read. */
  readonly token: string | undefined;
  /** The process's own refusal: 401 `unauthorized` for a wrong token, 404 `hidden` where there is no token to have. */
  readonly refuse: (reason: 'unauthorized' | 'hidden', request: FastifyRequest) => Error;
}

/** Where metrics are served. */
export const METRICS_PATH = '/metrics';

/** Serves `GET /metrics` in Prometheus' text format (version 0.0.4) on the process's own port. */
export function serveMetrics(fastify: FastifyInstance, metrics: ProcessMetrics, access: MetricsAccess): void {
  fastify.get(METRICS_PATH, async (request, reply) => {
    const refusal = refusalOf(request.raw, access.token);
    if (refusal !== null) throw access.refuse(refusal, request);
    const text = await metrics.render();
    return reply.header('content-type', metrics.registry.contentType).send(text);
  });
}

/** Why somebody may not read the metrics, or null if they may. */
export function refusalOf(
  { headers, socket }: Pick<IncomingMessage, 'headers' | 'socket'>,
  token: string | undefined,
): 'unauthorized' | 'hidden' | null {
  if (token !== undefined) {
    return isEqual(headers.authorization ?? '', `Bearer ${token}`) ? null : 'unauthorized';
  }
  return isLoopback(socket.remoteAddress) && !isForwarded(headers) ? null : 'hidden';
}

/** Digests have one length, so that comparing them tells nothing of the token, not even its own. */
function isEqual(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function isLoopback(address: string | undefined): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address ?? '');
}

/** Headers of a proxy on this machine that forwards a stranger, or of a browser on it that shows a stranger's page. */
const OTHERS_HANDS = ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via', 'origin'];

function isForwarded(headers: IncomingMessage['headers']): boolean {
  return OTHERS_HANDS.some((name) => headers[name] !== undefined);
}
