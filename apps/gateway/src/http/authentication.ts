import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { CallerCache } from '../auth/caller-cache.js';
import type { Caller } from '../auth/caller.js';
import { credentialsOf, maskKey } from '../auth/credential.js';
import { GatewayError } from '../relay/gateway-errors.js';
import { identityHeaders } from './response-head.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set for every request under `/v1` that got past authentication. */
    caller: Caller | null;
    /** Monotonic milliseconds. */
    startedAtMs: number;
  }
}

/** Paths that need no API key. */
const PUBLIC_PATHS = /^\/health\//;

/**
 * Authenticates in an `onRequest` hook, before a body is read: a stranger cannot make the gateway take 32 MiB. A caller
 * that is in the cache costs no promise.
 */
export function authenticateRequests(fastify: FastifyInstance, callers: CallerCache): void {
  fastify.decorateRequest('caller', null);
  fastify.decorateRequest('startedAtMs', 0);
  fastify.addHook('onRequest', (request, reply, done) => {
    request.startedAtMs = performance.now();
    reply.headers({ ...identityHeaders(request.id) });
    if (request.method === 'OPTIONS' || PUBLIC_PATHS.test(request.url) || !request.url.startsWith('/v1/')) {
      done();
      return;
    }
    identify(request, callers).then(
      () => done(),
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
    );
  });
}

/** The caller that authentication found. @throws GatewayError on a route where it did not run. */
export function callerOf(request: FastifyRequest): Caller {
  if (request.caller === null) throw new GatewayError('no_credential');
  return request.caller;
}

async function identify(request: FastifyRequest, callers: CallerCache): Promise<void> {
  const credentials = credentialsOf(request.headers);
  const [first] = credentials;
  if (first === undefined) throw new GatewayError('no_credential');
  let refusal: GatewayError | null = null;
  for (const credential of credentials) {
    const found = await callers.find(credential);
    if (found.status === 'active') {
      request.caller = found.caller;
      return;
    }
    if (found.status === 'deactivated') {
      refusal ??= new GatewayError('account_deactivated', { reason: found.reason });
    }
  }
  throw refusal ?? new GatewayError('invalid_api_key', { key: maskKey(first) });
}
