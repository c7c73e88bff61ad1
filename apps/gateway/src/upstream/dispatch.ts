import type { UpstreamRequest } from '@tollgate/providers';
import type { Dispatcher } from 'undici';
import type { ConnectionPools } from './connection-pools.js';
import { UpstreamResponse, type UpstreamHead } from './upstream-response.js';

/** How long an upstream may take, in milliseconds. */
export interface UpstreamTimeouts {
  readonly firstByteMs: number;
  /** Between two chunks of the body. */
  readonly idleMs: number;
}

/** An answer of which the head is there. */
export interface DispatchedAnswer {
  readonly head: UpstreamHead;
  readonly response: UpstreamResponse;
}

/** One request on its way: can be given up before its head is there. */
export interface Dispatched {
  /** The response that is under way: another one after a repetition on a fresh connection. */
  current(): UpstreamResponse;
  readonly answer: Promise<DispatchedAnswer>;
}

/**
 * Sends one request. A kept connection that the upstream closed just as we used it, before any byte of an answer, is
 * nobody's failure: the request is repeated once on a fresh connection, and that is no attempt of its own.
 */
export function dispatchUpstream(
  pools: ConnectionPools,
  origin: string,
  call: { request: UpstreamRequest; timeouts: UpstreamTimeouts },
): Dispatched {
  let response = new UpstreamResponse();
  const first = send(pools.of(origin), call, response);
  const answer = first.catch((error: unknown) => {
    if (!pools.isEndOfKeptConnection(error)) throw error;
    const client = pools.fresh(origin);
    response = new UpstreamResponse();
    const repeated = send(client, call, response);
    // Closing waits for the request that is under way.
    void client.close();
    return repeated;
  });
  answer.catch(() => undefined);
  return { current: () => response, answer };
}

async function send(
  dispatcher: Dispatcher,
  call: { request: UpstreamRequest; timeouts: UpstreamTimeouts },
  response: UpstreamResponse,
): Promise<DispatchedAnswer> {
  const { request, timeouts } = call;
  dispatcher.dispatch(
    {
      method: 'POST',
      path: request.path,
      headers: { ...request.headers },
      body: request.body,
      headersTimeout: timeouts.firstByteMs,
      bodyTimeout: timeouts.idleMs,
    },
    response,
  );
  return { head: await response.head, response };
}
