import type { IncomingHttpHeaders } from 'node:http';

const LENGTH_MAX = 512;
const UNPRINTABLE = /[^\x20-\x7e]/g;

/**
 * The id that a client gave its own request, as it may stand in a log: printable ASCII, at most 512 characters. Null if it
 * gave none.
 */
export function clientRequestId(headers: IncomingHttpHeaders): string | null {
  const given = headers['x-client-request-id'] ?? headers['x-request-id'];
  if (typeof given !== 'string') return null;
  const id = given.slice(0, LENGTH_MAX).replace(UNPRINTABLE, '');
  return id === '' ? null : id;
}
