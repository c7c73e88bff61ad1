import type { IncomingMessage } from 'node:http';
import type { Logger } from '@tollgate/runtime';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { CallerCache } from '../auth/caller-cache.js';
import { GatewayError } from '../relay/gateway-errors.js';
import type { Telemetry } from '../telemetry/telemetry.js';
import { authenticateBodies, authenticateHead, needsCaller } from './authentication.js';
import { clientRequestId } from './client-request-id.js';
import { answerPreflight } from './cors.js';
import { refusePath } from './known-paths.js';
import { bodyBytesMax } from './request-body.js';
import { normaliseUrl, type PathModel } from './url-normaliser.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Monotonic milliseconds. */
    startedAtMs: number;
    /** The model that the path named before it was normalised, if it did. */
    pathModel: PathModel | null;
  }
}

const CONTENT_TYPE = /^[^/;\s]+\/[^/;\s]+\s*(?:;|$)/;

/** Models named by paths, from when a path is normalised until its request is there. */
const pathModels = new WeakMap<IncomingMessage, PathModel>();

/** Fastify's `rewriteUrl`: runs before routing, for every request. */
export function rewriteUrl(raw: IncomingMessage): string {
  // A browser's question what it may send has one answer for all paths, even for those that cannot be decoded.
  if (raw.method === 'OPTIONS') return '/';
  const { url, pathModel } = normaliseUrl(raw.url ?? '/');
  if (pathModel !== null) pathModels.set(raw, pathModel);
  return url;
}

/** What requests are admitted with. */
export interface AdmissionSteps {
  readonly callers: CallerCache;
  readonly logger: Logger;
  readonly telemetry: Telemetry;
}

/**
 * Decides by the head of a request whether it goes on: preflight, caller, path, size, in this order and before anything of
 * its body is read. A caller that is in the cache costs no promise.
 */
export function admitRequests(fastify: FastifyInstance, steps: AdmissionSteps): void {
  const { callers, logger, telemetry } = steps;
  fastify.decorateRequest('caller', null);
  fastify.decorateRequest('keyPlace', 'nowhere');
  fastify.decorateRequest('startedAtMs', 0);
  fastify.decorateRequest('pathModel', null);
  fastify.decorateRequest('observed', null);
  fastify.addHook('onRequest', (request, reply, done) => {
    request.startedAtMs = performance.now();
    if (request.method === 'OPTIONS') {
      answerPreflight(request, reply);
      return;
    }
    telemetry.observe(request, reply);
    if (request.originalUrl !== request.url) request.pathModel = pathModels.get(request.raw) ?? null;
    const admit = (): void => {
      const refusal = refuseByHead(request);
      if (refusal === null) expectBody(request, reply, logger);
      done(refusal ?? undefined);
    };
    const waiting = needsCaller(request) ? authenticateHead(request, callers) : null;
    if (waiting === null) admit();
    else waiting.then(admit, (error: Error) => done(error));
  });
  authenticateBodies(fastify, callers);
}

/** What can be refused once the caller is known, or is still to be found in the body. */
function refuseByHead(request: FastifyRequest): GatewayError | null {
  const { method, url, originalUrl, headers } = request;
  if (headers.host === undefined && request.raw.httpVersion === '1.1') {
    return new GatewayError('malformed_request', { reason: 'it has no Host header' });
  }
  if (request.is404) return refusePath({ method, url, sentUrl: originalUrl });
  const bytesMax = bodyBytesMax(request);
  return Number(headers['content-length'] ?? 0) > bytesMax
    ? new GatewayError('request_too_large', { limit: String(bytesMax) })
    : null;
}

function expectBody(request: FastifyRequest, reply: FastifyReply, logger: Logger): void {
  const { headers, raw } = request;
  const isAsking = headers.expect?.toLowerCase() === '100-continue' && raw.httpVersion === '1.1';
  if (isAsking) reply.raw.writeContinue();
  const contentType = headers['content-type'];
  // Fastify would refuse what is no content type. An empty one is none, and bodies with keys come with any.
  const isNone = contentType === '' || (request.caller === null && !CONTENT_TYPE.test(contentType ?? ''));
  if (isNone) delete headers['content-type'];
  if (headers['x-client-request-id'] !== undefined && request.caller !== null) {
    logger.info(
      { requestId: request.id, ...request.observed?.logFields, clientRequestId: clientRequestId(headers) },
      'the client named its request',
    );
  }
}
