import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { v7 as uuidv7 } from 'uuid';
import { GatewayError } from '../relay/gateway-errors.js';
import { identityHeaders } from './response-head.js';

/** What Node's HTTP parser calls the errors that have a status of their own. */
const STATUSES: { readonly [code: string]: number } = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** Answers what is not HTTP at all: it never becomes a request, so no route and no filter sees it. */
export function answerMalformedRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = STATUSES[error.code ?? ''] ?? 400;
  const refusal = new GatewayError('malformed_request', { reason: error.code ?? 'it cannot be parsed' });
  const body = JSON.stringify(refusal.envelope);
  const head = [
    `HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? 'Bad Request'}`,
    ...Object.entries(identityHeaders(uuidv7())).map(([name, value]) => `${name}: ${value}`),
    'content-type: application/json',
    `content-length: ${String(Buffer.byteLength(body))}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
