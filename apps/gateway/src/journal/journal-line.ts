import { crc32 } from 'node:zlib';

/** The version of the lines that this build writes. Every older one stays readable; a newer one waits for its build. */
export const LINE_VERSION = 1;

/**
 * A usage event as it stands in the journal. Nothing of it is parsed away and nothing is added: its hash is compared with
 * what the ledger knows, and another build may have written it.
 */
export interface JournalledEvent {
  readonly requestId: string;
  readonly accountId: string;
}

/** What one line tells. */
export type JournalFact =
  /** A request has its hold. `at` is ISO 8601 by the gateway's clock. */
  | { readonly kind: 'begun'; readonly requestId: string; readonly accountId: string; readonly at: string }
  /** What a running request would cost if it ended now. `contract` is the version of the usage job. */
  | { readonly kind: 'checkpoint'; readonly contract: number; readonly event: JournalledEvent }
  /** A request is over. */
  | { readonly kind: 'event'; readonly contract: number; readonly event: JournalledEvent };

/** One line as it was read, or what could not be read. */
export type ReadLine =
  | { readonly fact: JournalFact }
  /** Bytes that are no line (any more): torn or altered. */
  | { readonly damagedBytes: number }
  /** A whole line that this build does not understand. It must be kept. */
  | { readonly foreign: string };

/** Begins every line, and cannot stand inside one: JSON escapes it. What is damaged ends at the next. */
const RECORD_SEPARATOR = 0x1e;
const LINE_FEED = 0x0a;
const MARK = String.fromCharCode(RECORD_SEPARATOR);
/** Separator, eight digits of CRC, and the spaces between them and the length. */
const CRC_AT = 1;
const LENGTH_AT = 10;
/** A line is longer than any of these only if its length is damaged. */
const LENGTH_DIGITS_MAX = 9;

/**
 * Writes a fact as a line: a record separator (as in RFC 7464), CRC-32 in hexadecimal, bytes of JSON, version, the JSON
 * and a line feed. The sum covers all that follows it but the line feed.
 */
export function encodeLine(fact: JournalFact): string {
  const json = JSON.stringify(fact);
  const summed = `${String(Buffer.byteLength(json))} ${String(LINE_VERSION)} ${json}`;
  return `${MARK}${crc32(summed).toString(16).padStart(8, '0')} ${summed}\n`;
}

/** Reads a segment's bytes, from beginning to end. Damage costs the lines that it is in, and no other. */
export function* readLines(bytes: Buffer): Generator<ReadLine> {
  let position = 0;
  let damagedFrom = -1;
  while (position < bytes.length) {
    const line = lineAt(bytes, position);
    if (line === null) {
      if (damagedFrom < 0) damagedFrom = position;
      const next = bytes.indexOf(RECORD_SEPARATOR, position + 1);
      position = next < 0 ? bytes.length : next;
      continue;
    }
    if (damagedFrom >= 0) yield { damagedBytes: position - damagedFrom };
    damagedFrom = -1;
    yield read(line.version, line.json);
    position = bytes[line.end] === LINE_FEED ? line.end + 1 : line.end;
  }
  if (damagedFrom >= 0) yield { damagedBytes: bytes.length - damagedFrom };
}

interface WholeLine {
  readonly version: string;
  readonly json: string;
  /** Where its line feed is, or should be. */
  readonly end: number;
}

/** The line that begins here, if one does and its sum is right. */
function lineAt(bytes: Buffer, start: number): WholeLine | null {
  if (bytes[start] !== RECORD_SEPARATOR) return null;
  const lengthEnd = bytes.indexOf(' ', start + LENGTH_AT);
  if (lengthEnd < 0 || lengthEnd - start - LENGTH_AT > LENGTH_DIGITS_MAX) return null;
  const versionEnd = bytes.indexOf(' ', lengthEnd + 1);
  if (versionEnd < 0) return null;
  const length = Number(bytes.toString('latin1', start + LENGTH_AT, lengthEnd));
  const end = versionEnd + 1 + length;
  if (!Number.isInteger(length) || length <= 0 || end > bytes.length) return null;
  const sum = bytes.toString('latin1', start + CRC_AT, start + LENGTH_AT);
  const expected = `${crc32(bytes.subarray(start + LENGTH_AT, end))
    .toString(16)
    .padStart(8, '0')} `;
  if (sum !== expected) return null;
  return {
    version: bytes.toString('latin1', lengthEnd + 1, versionEnd),
    json: bytes.toString('utf8', versionEnd + 1, end),
    end,
  };
}

/** There is one version so far. The next one adds its reader here, beside the old one. */
function read(version: string, json: string): ReadLine {
  if (version !== String(LINE_VERSION)) return { foreign: json };
  const value: unknown = JSON.parse(json);
  return isFact(value) ? { fact: value } : { foreign: json };
}

/** The sum says that the line is as some build wrote it, so only the form of that build is looked at. */
function isFact(value: unknown): value is JournalFact {
  if (!isRecord(value)) return false;
  if (value['kind'] === 'begun') return isEvent(value);
  if (value['kind'] !== 'event' && value['kind'] !== 'checkpoint') return false;
  return typeof value['contract'] === 'number' && isRecord(value['event']) && isEvent(value['event']);
}

function isEvent({ requestId, accountId }: Record<string, unknown>): boolean {
  return typeof requestId === 'string' && typeof accountId === 'string';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
