import type { IncomingHttpHeaders } from 'node:http';

/** Less than this is a mistake of the client's, not a wish. */
const TIMEOUT_MIN_MS = 1_000;

/** How long SDKs say that they wait: seconds, `X-Stainless-Timeout` in JavaScript, `X-Stainless-Read-Timeout` in Python. */
export function clientTimeoutMs(headers: IncomingHttpHeaders): number | null {
  const text = headers['x-stainless-timeout'] ?? headers['x-stainless-read-timeout'];
  const seconds = typeof text === 'string' && text !== '' ? Number(text) : Number.NaN;
  return Number.isFinite(seconds) && seconds > 0 ? Math.max(seconds * 1_000, TIMEOUT_MIN_MS) : null;
}
