import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { requestIdToWire } from '@tollgate/contracts';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { v7 as uuidv7 } from 'uuid';
import { PROBLEM_CONTENT_TYPE, Problem, problemBody } from './problem.js';
import { httpRefusal, sendProblem } from './problem.filter.js';

const BODY_BYTES_MAX = 1024 * 1024;
/** Model names are the longest part of a path: 256 characters, each of which may be percent-encoded. */
const PATH_PARAMETER_LENGTH_MAX = 1024;
const REQUEST_TIMEOUT_MS = 60_000;

/** Fastify as this API needs it: bounded, with a request id of ours, and problem+json for what no route ever sees. */
export function createAdminAdapter(): FastifyAdapter {
  return new FastifyAdapter({
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: PATH_PARAMETER_LENGTH_MAX },
    genReqId: newRequestId,
    requestIdHeader: false,
    return503OnClosing: false,
    skipMiddie: true,
    // A URL that the router cannot decode meets no hook: it gets here what the hooks add elsewhere.
    frameworkErrors: (error: unknown, _request: FastifyRequest, reply: FastifyReply) => {
      writeAnswerHeaders(reply);
      sendProblem(reply, httpRefusal(error) ?? new Problem('malformed_request', 'The URL cannot be read.'));
    },
    clientErrorHandler: answerUnreadableRequest,
  });
}

/** Hooks and parsers that have to be in place before the routes are. */
export function prepareFastify(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', async (_request, reply) => writeAnswerHeaders(reply));
  endConnectionsOnClose(fastify);
  fastify.removeAllContentTypeParsers();
  const parseJson = fastify.getDefaultJsonParser('error', 'error');
  fastify.addContentTypeParser(
    ['application/json', 'application/merge-patch+json'],
    { parseAs: 'buffer' },
    (request, body, done) => {
      // An absent body is for the route's schema to judge: a DELETE has none.
      if (body.length === 0) return done(null, undefined);
      const text = decodeUtf8(body);
      if (text === null) return done(new Problem('malformed_request', 'The body is not UTF-8.'), undefined);
      void parseJson(request, text, done);
    },
  );
}

/** A connection that is kept alive after the last answer would keep the process from stopping. */
function endConnectionsOnClose(fastify: FastifyInstance): void {
  let closing = false;
  fastify.addHook('preClose', async () => {
    closing = true;
  });
  fastify.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
  });
}

function newRequestId(): string {
  return requestIdToWire(uuidv7());
}

/** Every answer names its request; none may be kept by a cache, because some carry a secret once. */
function writeAnswerHeaders(reply: FastifyReply): void {
  reply.headers({
    'x-request-id': reply.request.id,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
}

function decodeUtf8(body: Buffer | string): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(body));
  } catch {
    return null;
  }
}

const CODE_BY_PARSER_ERROR: Readonly<Record<string, 'headers_too_large' | 'request_timeout'>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/** What is not HTTP never becomes a request: the answer is written to the socket itself. */
function answerUnreadableRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const code = CODE_BY_PARSER_ERROR[error.code ?? ''] ?? 'malformed_request';
  const problem = new Problem(code, 'The request is not one that this server can read.');
  const requestId = newRequestId();
  const body = problemBody(problem, requestId);
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ''}`,
    `content-type: ${PROBLEM_CONTENT_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
