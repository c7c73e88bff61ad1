import type { IncomingHttpHeaders } from 'node:http';

/** Longer values are no API keys of anybody's, and are not worth hashing. */
const KEY_LENGTH_MAX = 512;
/** A header that holds a key in the longest form, Basic, and its scheme. */
const HEADER_LENGTH_MAX = 2_048;

/** Browsers cannot set headers on a WebSocket, so OpenAI's realtime clients name the key among the protocols. */
const KEY_PROTOCOL = 'openai-insecure-api-key.';

/** The only surface whose clients put the key into the URL. */
const KEY_IN_QUERY = /^\/v1beta\//;

/** What a request has before its body is read. */
export interface RequestHead {
  readonly headers: IncomingHttpHeaders;
  /** Path and query, the path as the routes know it. */
  readonly url: string;
}

/**
 * The credentials in the head of a request, in the order in which they are tried: `Authorization` (Bearer, Basic whose
 * password is the key, or the bare key), `api-key`, `x-api-key`, `x-goog-api-key` or the query's `key` under `/v1beta`,
 * `Sec-WebSocket-Protocol`. Empty strings count as absent. The sixth place is the body (`takeBodyCredential`).
 */
export function credentialsOf({ headers, url }: RequestHead): string[] {
  const credentials: string[] = [];
  add(credentials, fromAuthorization(headers.authorization));
  add(credentials, headers['api-key']);
  add(credentials, headers['x-api-key']);
  add(credentials, headers['x-goog-api-key']);
  if (KEY_IN_QUERY.test(url)) add(credentials, keyInQuery(url));
  const protocols = headers['sec-websocket-protocol'];
  if (protocols !== undefined) add(credentials, keyAmongProtocols(protocols));
  return credentials;
}

function add(credentials: string[], value: string | string[] | null | undefined): void {
  if (typeof value !== 'string') return;
  const credential = value.trim();
  if (credential === '' || credential.length > KEY_LENGTH_MAX || credentials.includes(credential)) return;
  credentials.push(credential);
}

/** Without expressions over the whole value: the header may be 32 KiB of blanks that a stranger made up. */
function fromAuthorization(header: string | undefined): string | null {
  if (header === undefined || header.length > HEADER_LENGTH_MAX) return null;
  const value = header.trim();
  const schemeEnd = value.search(/\s/);
  const scheme = (schemeEnd === -1 ? value : value.slice(0, schemeEnd)).toLowerCase();
  if (scheme !== 'bearer' && scheme !== 'basic') return value;
  // The scheme's name alone is no key.
  if (schemeEnd === -1) return null;
  const rest = value.slice(schemeEnd).trim();
  return scheme === 'bearer' ? rest : passwordOf(rest);
}

function passwordOf(basic: string): string {
  const [, ...password] = Buffer.from(basic, 'base64').toString('utf8').split(':');
  return password.join(':');
}

function keyInQuery(url: string): string | null {
  const queryStart = url.indexOf('?');
  return queryStart === -1 ? null : new URLSearchParams(url.slice(queryStart + 1)).get('key');
}

function keyAmongProtocols(header: string): string | null {
  const protocols = header.split(',').map((protocol) => protocol.trim());
  return protocols.find((protocol) => protocol.startsWith(KEY_PROTOCOL))?.slice(KEY_PROTOCOL.length) ?? null;
}

const SHOWN_HEAD = 3;
const SHOWN_TAIL = 4;

/** A key as it may stand in a message: its first 3 and last 4 characters at most. */
export function maskKey(key: string): string {
  if (key.length <= SHOWN_HEAD + SHOWN_TAIL) return '*'.repeat(key.length);
  return `${key.slice(0, SHOWN_HEAD)}****${key.slice(-SHOWN_TAIL)}`;
}
