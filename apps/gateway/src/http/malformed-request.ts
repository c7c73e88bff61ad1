import { STATUS_CODES, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { v7 as uuidv7 } from 'uuid';
import { GatewayError } from '../relay/gateway-errors.js';
import { LINGER_MS } from './gateway-limits.js';
import { answerHeaders } from './response-head.js';

interface Complaint {
  readonly status: number;
  readonly reason: string;
}

/** What Node's HTTP parser calls the errors that have a status or words of their own. */
const COMPLAINTS: { readonly [code: string]: Complaint } = {
  HPE_HEADER_OVERFLOW: { status: 431, reason: 'its head is larger than 32 KiB' },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { status: 413, reason: 'the extensions of its chunks are too large' },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, reason: 'it did not arrive in time' },
};

/** Answers what is not HTTP at all: it never becomes a request, so no route and no filter sees it. */
export function answerMalformedRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  // A connection that never said anything asked for nothing.
  if (error.code === 'ECONNRESET' || !socket.writable || socket.bytesRead === 0 || isAnswering(socket)) {
    socket.destroy();
    return;
  }
  const code = error.code ?? 'it cannot be parsed';
  refuseOnSocket(socket, COMPLAINTS[code] ?? { status: 400, reason: code });
}

/** Writes a refusal to a connection that no answer is being written to, and closes it once that can be read. */
export function refuseOnSocket(socket: Socket, { status, reason }: Complaint): void {
  const refusal = new GatewayError('malformed_request', { reason });
  const body = JSON.stringify(refusal.envelope);
  const headers = answerHeaders({ requestId: uuidv7(), processingMs: 0, accountId: null });
  const head = [
    `HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? 'Bad Request'}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    'content-type: application/json; charset=utf-8',
    `content-length: ${String(Buffer.byteLength(body))}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  // Closing while the client still sends would take the refusal from it; never closing would let it send for ever.
  const lingering = setTimeout(() => socket.destroy(), LINGER_MS);
  lingering.unref();
  socket.once('close', () => clearTimeout(lingering));
}

/** Whether an answer has begun on this connection: then whatever is written would stand in the middle of it. */
function isAnswering(socket: Socket): boolean {
  // Node says so nowhere else; its own handler of these errors looks here too.
  const answer: unknown = Reflect.get(socket, '_httpMessage');
  return answer instanceof ServerResponse && answer.headersSent;
}
