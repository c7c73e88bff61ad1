import type { IncomingHttpHeaders } from 'node:http';

const BEARER = /^\s*bearer\s+(.+?)\s*$/i;
const BASIC = /^\s*basic\s+(\S+)\s*$/i;
const KEY_LENGTH_MAX = 512;

/**
 * The credentials of a request in the order in which they are tried: `Authorization` (Bearer, Basic whose password is
 * the key, or the bare key), `api-key`, `x-api-key`. Empty strings count as absent.
 */
export function credentialsOf(headers: IncomingHttpHeaders): string[] {
  const credentials = [fromAuthorization(headers.authorization), headers['api-key'], headers['x-api-key']];
  const given = credentials.filter(
    (credential): credential is string =>
      typeof credential === 'string' && credential.trim() !== '' && credential.length <= KEY_LENGTH_MAX,
  );
  return [...new Set(given.map((credential) => credential.trim()))];
}

function fromAuthorization(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const bearer = BEARER.exec(value);
  if (bearer !== null) return bearer[1];
  const basic = BASIC.exec(value);
  if (basic !== null) {
    const [, ...password] = Buffer.from(basic[1] ?? '', 'base64')
      .toString('utf8')
      .split(':');
    return password.join(':');
  }
  // The scheme's name alone is no key.
  return /^\s*(bearer|basic)\s*$/i.test(value) ? undefined : value;
}

const SHOWN_HEAD = 3;
const SHOWN_TAIL = 4;

/** A key as it may stand in a message: its first 3 and last 4 characters at most. */
export function maskKey(key: string): string {
  if (key.length <= SHOWN_HEAD + SHOWN_TAIL) return '*'.repeat(key.length);
  return `${key.slice(0, SHOWN_HEAD)}****${key.slice(-SHOWN_TAIL)}`;
}
