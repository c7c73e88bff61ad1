/** What stands where something was taken out of a log line. */
const MASK = '***';

/** Names of members whose values are secrets whatever they look like. */
const SECRET_NAMES =
  '(?:x-)?api[-_]?key|(?:proxy-)?authorization|(?:set-)?cookie|credentials?|password|secret|master[-_]?key';

/**
 * Where a word begins within a line of JSON: an escaped line break before it looks like a letter of it.
 */
const WORD = String.raw`(?:(?<![A-Za-z\d])|(?<=\\[bfnrt])|(?<=\\u[\da-fA-F]{4}))`;

/** What is a secret wherever it stands. Each leaves enough to see what was there. */
const PATTERNS: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  [pattern(String.raw`"(${SECRET_NAMES})":"(?:[^"\\]|\\.)*"`), `"$1":"${MASK}"`],
  // The same within a text that holds JSON itself.
  [pattern(String.raw`(\\+")(${SECRET_NAMES})\1(\s*:\s*)\1(?:(?!\1).)*\1`), `$1$2$1$3$1${MASK}$1`],
  // API keys, ours and those of most providers.
  [pattern(String.raw`${WORD}(sk|pk|rk)-[\w-]{8,}`), `$1-${MASK}`],
  [pattern(String.raw`${WORD}tgop_\w+`), `tgop_${MASK}`],
  [pattern(String.raw`${WORD}(Bearer)(\s+)[\w.~+/=-]{8,}`), `$1$2${MASK}`],
  [pattern(String.raw`${WORD}(Basic)(\s+)[A-Za-z\d+/]{12,}=*`), `$1$2${MASK}`],
  // The user and the password of a URL.
  [pattern(String.raw`([a-z][a-z\d+.-]*:\/\/)[^\s/"\\@]*:[^\s/"\\]*@`), `$1${MASK}@`],
];

/** Takes keys, tokens, credentials and the passwords of URLs out of a line of JSON, wherever in it they stand. */
export function maskSecrets(line: string): string {
  return PATTERNS.reduce((text, [secret, replacement]) => text.replace(secret, replacement), line);
}

function pattern(source: string): RegExp {
  return new RegExp(source, 'gi');
}
