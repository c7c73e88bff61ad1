import type { FastifyReply, FastifyRequest } from 'fastify';

/** What scripts in a browser may read of an answer beside its body. */
const EXPOSED_HEADERS = [
  ...['x-request-id', 'request-id', 'openai-processing-ms', 'openai-version', 'openai-organization'],
  ...['retry-after', 'retry-after-ms', 'x-should-retry'],
  ...['x-ratelimit-limit-requests', 'x-ratelimit-remaining-requests', 'x-ratelimit-reset-requests'],
  ...['x-ratelimit-limit-tokens', 'x-ratelimit-remaining-tokens', 'x-ratelimit-reset-tokens'],
  ...['x-credits-charged', 'x-credits-remaining', 'x-history-dropped'],
].join(', ');

/** On every answer, refusals and streams too. Keys travel in headers, so any origin may ask and no cookie is wanted. */
export const CORS_HEADERS = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': EXPOSED_HEADERS,
  vary: 'Origin, Access-Control-Request-Headers',
} as const;

const PREFLIGHT_HEADERS = {
  'access-control-allow-methods': 'GET,POST,DELETE,PUT,PATCH,OPTIONS',
  'access-control-max-age': '86400',
} as const;

/** Names of headers that browsers ask for, as far as they can be names of headers. */
const HEADER_NAMES = /^[\w\s,!#$%&'*+.^`|~-]{1,4096}$/;

/** Answers a browser that asks what it may send. A literal `*` would not cover `Authorization`: the names are echoed. */
export function answerPreflight(request: FastifyRequest, reply: FastifyReply): void {
  const asked = request.headers['access-control-request-headers'];
  void reply
    .status(204)
    .headers(PREFLIGHT_HEADERS)
    .header(
      'access-control-allow-headers',
      asked !== undefined && HEADER_NAMES.test(asked) ? asked : 'authorization, content-type',
    )
    .send();
}

/**
 * Whether a browser sent the request. Node's `fetch` sends `Sec-Fetch-Mode` too, so that is no sign of one.
 */
export function isFromBrowser({ headers }: Pick<FastifyRequest, 'headers'>): boolean {
  return headers.origin !== undefined || headers['sec-fetch-site'] !== undefined;
}
