import type { FastifyInstance, FastifyRequest } from 'fastify';
import { takeBodyCredential } from '../auth/body-credential.js';
import type { CallerCache, FoundCaller } from '../auth/caller-cache.js';
import type { Caller } from '../auth/caller.js';
import { credentialsOf, maskKey } from '../auth/credential.js';
import { GatewayError } from '../relay/gateway-errors.js';
import { STRANGER_BODY_BYTES_MAX } from './gateway-limits.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set for every request under `/v1` that got past authentication. */
    caller: Caller | null;
    /** Where the request has a key, be it a good one or not. */
    keyPlace: 'headers' | 'body' | 'nowhere';
  }
}

/** The trees whose paths need an API key; what lies outside is public or does not exist. */
const PROTECTED = /^\/(?:v1|v1beta|openai)\//;

/** Whether a request has to say who sends it. */
export function needsCaller({ url }: Pick<FastifyRequest, 'url'>): boolean {
  return PROTECTED.test(url);
}

/**
 * Finds the caller by the head of a request, before its body is read: a stranger cannot make the gateway take 32 MiB. Nothing is
 * to be waited for if the caller is in the cache, or if only the body can tell.
 * @throws GatewayError by rejection: `no_credential`, `invalid_api_key`, `account_deactivated`, `billing_unavailable`.
 */
export function authenticateHead(request: FastifyRequest, callers: CallerCache): Promise<void> | null {
  const credentials = credentialsOf({ headers: request.headers, url: request.url });
  const [first] = credentials;
  if (first === undefined) {
    return mayHaveBodyCredential(request) ? null : Promise.reject(new GatewayError('no_credential'));
  }
  request.keyPlace = 'headers';
  const found = callers.find(first);
  if ('status' in found && found.status === 'active') {
    request.caller = found.caller;
    return null;
  }
  return identify(credentials, callers, found).then((caller) => {
    request.caller = caller;
  });
}

/** Takes credentials out of bodies, and finds the caller by them where the head named none. */
export function authenticateBodies(fastify: FastifyInstance, callers: CallerCache): void {
  fastify.addHook('preValidation', (request, _reply, done) => {
    const credential = takeCredential(request);
    if (request.caller !== null || !needsCaller(request)) {
      done();
      return;
    }
    if (credential === null) {
      done(new GatewayError('no_credential'));
      return;
    }
    request.keyPlace = 'body';
    identify([credential], callers).then(
      (caller) => {
        request.caller = caller;
        done();
      },
      (error: Error) => done(error),
    );
  });
}

/** The caller that authentication found. @throws GatewayError on a route where it did not run. */
export function callerOf(request: FastifyRequest): Caller {
  if (request.caller === null) throw new GatewayError('no_credential');
  return request.caller;
}

/** Whether a body will come that is small enough to be read for a credential, on a route that takes one. */
function mayHaveBodyCredential({ method, is404, headers }: FastifyRequest): boolean {
  if (method !== 'POST' || is404) return false;
  if (headers['transfer-encoding'] !== undefined) return true;
  const bytes = Number(headers['content-length'] ?? 0);
  return bytes > 0 && bytes <= STRANGER_BODY_BYTES_MAX;
}

function takeCredential(request: FastifyRequest): string | null {
  if (!Buffer.isBuffer(request.body)) return null;
  const { body, credential } = takeBodyCredential(request.body);
  request.body = body;
  return credential;
}

/**
 * The caller of the first credential that is an active key's. What is being found for the first one already is not asked for
 * again: a promise that nobody waits for would end the process when it rejects.
 */
async function identify(
  credentials: readonly string[],
  callers: CallerCache,
  first?: FoundCaller | Promise<FoundCaller>,
): Promise<Caller> {
  let refusal: GatewayError | null = null;
  for (const [index, credential] of credentials.entries()) {
    const found = await (index === 0 && first !== undefined ? first : callers.find(credential));
    if (found.status === 'active') return found.caller;
    if (found.status === 'deactivated') {
      refusal ??= new GatewayError('account_deactivated', { reason: found.reason });
    }
  }
  throw refusal ?? new GatewayError('invalid_api_key', { key: maskKey(credentials[0] ?? '') });
}
