import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { Socket } from 'node:net';
import {
  CONNECTIONS_MAX,
  HEADER_BYTES_MAX,
  HEADERS_TIMEOUT_MS,
  TIMEOUT_CHECK_INTERVAL_MS,
} from './gateway-limits.js';
import { refuseOnSocket } from './malformed-request.js';

/**
 * How Node's server treats connections. One that sends its head byte by byte, or nothing at all, is closed after half a
 * minute; one that sends its body so, after five minutes. Neither takes a place among the requests in flight.
 */
export const HTTP_SERVER_OPTIONS: ServerOptions = {
  maxHeaderSize: HEADER_BYTES_MAX,
  headersTimeout: HEADERS_TIMEOUT_MS,
  connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL_MS,
  // Node would refuse without an envelope; `refusePlainly` does it with one.
  requireHostHeader: false,
};

/** What can only be set on the server itself. */
export function prepareServer(server: Server): void {
  server.maxConnections = CONNECTIONS_MAX;
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    server.emit('request', request, response);
  };
  // Node would ask for the body at once; it is asked for when its sender is known.
  server.on('checkContinue', serve);
  // Other expectations need not be met; Node would refuse them without an envelope.
  server.on('checkExpectation', serve);
  server.on('connect', (_request: IncomingMessage, connection: Duplex) => {
    if (connection instanceof Socket) refuseOnSocket(connection, { status: 405, reason: 'this is no proxy' });
    else connection.destroy();
  });
}
