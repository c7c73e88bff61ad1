import type { OutgoingHttpHeaders } from 'node:http';
import { requestIdToWire } from '@tollgate/contracts';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { CORS_HEADERS } from './cors.js';
import { CLIENT_STALL_MAX_MS } from './gateway-limits.js';

/** The version of the API, as OpenAI states it in every answer. */
const OPENAI_VERSION = '2020-10-01';

const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
  connection: 'keep-alive',
} as const;

/** What the headers of an answer tell of its request. */
export interface AnsweredRequest {
  readonly requestId: string;
  /** Whole milliseconds from the request's head to the answer's. */
  readonly processingMs: number;
  /** Null for callers who are not known. */
  readonly accountId: string | null;
}

/** The headers of every answer, whatever wrote it: identity, what OpenAI's clients read, and CORS. */
export function answerHeaders(answered: AnsweredRequest): { readonly [name: string]: string } {
  const id = requestIdToWire(answered.requestId);
  const headers: { [name: string]: string } = {
    'x-request-id': id,
    'request-id': id,
    'openai-processing-ms': String(answered.processingMs),
    'openai-version': OPENAI_VERSION,
    ...CORS_HEADERS,
  };
  if (answered.accountId !== null) headers['openai-organization'] = answered.accountId;
  return headers;
}

/** Adds those headers to whatever is sent by `reply.send`; `writeStreamHead` adds them to the rest. */
export function addAnswerHeaders(fastify: FastifyInstance): void {
  fastify.addHook('onSend', (request, reply, _payload, done) => {
    reply.headers(headersFor(request));
    watchForStall(reply);
    done();
  });
}

/**
 * The one place where a head is written to the raw response: hijacking drops whatever was set on the reply, so those
 * headers are carried over here.
 */
export function writeStreamHead(reply: FastifyReply, headers: OutgoingHttpHeaders): void {
  // Fastify types headers by the names it knows; whatever was set is a value that Node takes.
  const carried = reply.getHeaders() as OutgoingHttpHeaders;
  reply.hijack();
  // While a stream runs, whoever writes it watches; a stream may be silent for longer.
  reply.raw.once('prefinish', () => watchForStall(reply));
  reply.raw.writeHead(200, { ...carried, ...headersFor(reply.request), ...STREAM_HEADERS, ...headers });
  reply.raw.flushHeaders();
}

function headersFor(request: FastifyRequest): { readonly [name: string]: string } {
  return answerHeaders({
    requestId: request.id,
    processingMs: Math.round(performance.now() - request.startedAtMs),
    accountId: request.caller?.accountId ?? null,
  });
}

/**
 * Closes the connection of a client that takes nothing of its answer any more: nothing else would, and its end of the answer
 * would stay in memory. Node sets its own time-out for idle connections once the answer is out.
 */
function watchForStall(reply: FastifyReply): void {
  reply.raw.socket?.setTimeout(CLIENT_STALL_MAX_MS);
}
