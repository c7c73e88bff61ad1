import { z } from 'zod';

const WIRE_PATTERN = /^req_([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/;

/** The request id as clients see it: `req_` and the 32 hexadecimal digits of the UUID. */
export function requestIdToWire(requestId: string): string {
  return `req_${requestId.replaceAll('-', '')}`;
}

/** The UUID of a request id in either form, or null if it is neither. */
export function parseRequestId(text: string): string | null {
  const wire = WIRE_PATTERN.exec(text);
  if (wire !== null) return wire.slice(1).join('-');
  return z.uuid().safeParse(text).success ? text.toLowerCase() : null;
}
