import type { OutgoingHttpHeaders } from 'node:http';
import { requestIdToWire } from '@tollgate/contracts';
import type { FastifyReply } from 'fastify';

const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
  connection: 'keep-alive',
} as const;

/** The headers that every answer has, by which a caller and an operator can speak of the same request. */
export function identityHeaders(requestId: string): { readonly [name: string]: string } {
  const id = requestIdToWire(requestId);
  return { 'x-request-id': id, 'request-id': id };
}

/**
 * The one place where a head is written to the raw response: hijacking drops whatever was set on the reply, so those
 * headers are carried over here.
 */
export function writeStreamHead(reply: FastifyReply, headers: OutgoingHttpHeaders): void {
  // Fastify types headers by the names it knows; whatever was set is a value that Node takes.
  const carried = reply.getHeaders() as OutgoingHttpHeaders;
  reply.hijack();
  reply.raw.writeHead(200, { ...carried, ...STREAM_HEADERS, ...headers });
  reply.raw.flushHeaders();
}
