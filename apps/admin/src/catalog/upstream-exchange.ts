import { request as requestByHttp, type IncomingMessage } from 'node:http';
import { request as requestByHttps } from 'node:https';
import {
  UpstreamAddressError,
  parseUpstreamUrl,
  upstreamLookup,
  type PrivateNetworks,
  type UpstreamRequest,
} from '@tollgate/providers';

/** For the whole exchange, looking up the host included. */
export const EXCHANGE_TIMEOUT_MS = 10_000;
/** A vector of 4,096 numbers takes some 100 KiB, the answer to a chat of 16 tokens far less. */
const BODY_BYTES_MAX = 256 * 1024;

/** What an upstream answered. */
export interface UpstreamReply {
  readonly status: number;
  readonly body: string;
}

/** The upstream answered more than anybody should read. */
export class ReplyTooLargeError extends Error {
  override readonly name = 'ReplyTooLargeError';

  constructor() {
    super(`it answered more than ${String(BODY_BYTES_MAX / 1024)} KiB`);
  }
}

/** The upstream did not answer to the end in time. */
export class ExchangeTimeoutError extends Error {
  override readonly name = 'ExchangeTimeoutError';

  constructor(options: ErrorOptions) {
    super(`there was no whole answer within ${String(EXCHANGE_TIMEOUT_MS / 1000)} s`, options);
  }
}

/**
 * Sends one request to an upstream on a connection of its own and reads the answer, both within bounds. Redirects are
 * answers like any other. The address is judged before and while connecting, as the gateway does it.
 * @throws UpstreamAddressError, ExchangeTimeoutError, ReplyTooLargeError, or what Node throws for a broken connection.
 */
export async function exchangeWithUpstream(
  baseUrl: string,
  request: UpstreamRequest,
  privateNetworks: PrivateNetworks,
): Promise<UpstreamReply> {
  const parsed = parseUpstreamUrl(baseUrl, privateNetworks);
  if (parsed.problem !== null) throw new UpstreamAddressError(`the base URL ${parsed.problem}`);
  const signal = AbortSignal.timeout(EXCHANGE_TIMEOUT_MS);
  try {
    const incoming = await send(parsed.url, request, { signal, lookup: upstreamLookup(privateNetworks) });
    return { status: incoming.statusCode ?? 0, body: await readBody(incoming) };
  } catch (cause) {
    if (signal.aborted) throw new ExchangeTimeoutError({ cause });
    throw cause;
  }
}

function send(
  baseUrl: URL,
  request: UpstreamRequest,
  options: { signal: AbortSignal; lookup: ReturnType<typeof upstreamLookup> },
): Promise<IncomingMessage> {
  const url = new URL(`${baseUrl.origin}${baseUrl.pathname.replace(/\/+$/, '')}${request.path}`);
  const begin = url.protocol === 'https:' ? requestByHttps : requestByHttp;
  return new Promise((resolve, reject) => {
    const outgoing = begin(url, { ...options, method: 'POST', headers: request.headers, agent: false });
    outgoing.once('response', resolve);
    // It stays: a connection that breaks while the answer is read says so here, too.
    outgoing.on('error', reject);
    outgoing.end(request.body);
  });
}

async function readBody(incoming: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of incoming) {
    const chunk = Buffer.from(piece as Uint8Array); // without an encoding, a response gives bytes
    bytes += chunk.length;
    // Leaving the loop destroys the connection.
    if (bytes > BODY_BYTES_MAX) throw new ReplyTooLargeError();
    pieces.push(chunk);
  }
  return Buffer.concat(pieces).toString('utf8');
}
