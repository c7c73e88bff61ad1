import { DIALECT_NAMES, parseDialectName, type DialectName } from '@tollgate/contracts';

const HOST = /^(?:[a-z\d](?:[a-z\d-]*[a-z\d])?(?:\.[a-z\d](?:[a-z\d-]*[a-z\d])?)*|\[[\da-f:.]+\])$/i;

/**
 * Reads `a.example=openai,b.example=…`: dialects by host.
 * @throws Error naming the part that cannot be read.
 */
export function parseDialectHosts(text: string): ReadonlyMap<string, DialectName> {
  const parts = text.split(',').map((part) => part.trim());
  return new Map(parts.filter((part) => part !== '').map(parseEntry));
}

function parseEntry(part: string): [string, DialectName] {
  const [host = '', name = '', ...others] = part.split('=').map((side) => side.trim());
  const dialect = parseDialectName(name);
  if (!HOST.test(host) || dialect === null || others.length > 0) {
    throw new Error(`"${part}" is not host=dialect with a dialect of ${DIALECT_NAMES.join(', ')}`);
  }
  return [host.toLowerCase(), dialect];
}
