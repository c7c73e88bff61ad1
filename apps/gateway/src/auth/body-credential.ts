/** The member of a JSON body, or the field of a form, that some clients put their key into. */
const MEMBER = 'api_secret_key';
const MEMBER_BYTES = Buffer.from(MEMBER);

const BYTE_ORDER_MARK = Buffer.of(0xef, 0xbb, 0xbf);

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACE = 0x7d;
const CLOSE_BRACKET = 0x5d;

/** What is left of a body once the credential is out of it. */
export interface TakenCredential {
  readonly body: Buffer;
  /** The first one that is not empty, or null. */
  readonly credential: string | null;
}

/**
 * Takes `api_secret_key` out of a body, so that nothing behind can log, hash or forward it. All other bytes stay as they were
 * sent, up to the commas and blanks around it: a body that is nearly JSON is not judged here. What begins like an object is
 * read as one and all else as a form: the clients that put their key there are also the ones that forget the content type.
 */
export function takeBodyCredential(body: Buffer): TakenCredential {
  if (!body.includes(MEMBER_BYTES)) return { body, credential: null };
  const start = skipBlanks(body, body.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0);
  return body[start] === OPEN_BRACE ? takeFromObject(body, start + 1) : takeFromForm(body);
}

function takeFromForm(body: Buffer): TakenCredential {
  const fields = body.toString('latin1').split('&');
  const kept = fields.filter((field) => !isMember(field));
  if (kept.length === fields.length) return { body, credential: null };
  const credentials = fields.filter(isMember).map((field) => new URLSearchParams(field.trim()).get(MEMBER));
  return {
    body: Buffer.from(kept.join('&'), 'latin1'),
    credential: credentials.find((credential) => credential !== '') ?? null,
  };
}

function isMember(field: string): boolean {
  const name = field.trimStart();
  return name.startsWith(MEMBER) && /^\s*(?:=|$)/.test(name.slice(MEMBER.length));
}

/** Reads the members of the outermost object in one pass over the bytes; what stands inside of them does not matter. */
function takeFromObject(body: Buffer, start: number): TakenCredential {
  const kept = new KeptMembers(body);
  let credential: string | null = null;
  let at = skipCommas(body, start);
  while (body[at] === QUOTE) {
    const nameEnd = skipString(body, at);
    const colon = skipBlanks(body, nameEnd);
    if (body[colon] !== COLON) break;
    const valueStart = skipBlanks(body, colon + 1);
    const end = skipValue(body, valueStart);
    if (body.subarray(at + 1, nameEnd - 1).equals(MEMBER_BYTES)) {
      credential ??= parseCredential(body.subarray(valueStart, end));
      kept.interrupt();
    } else {
      kept.add(at, end);
    }
    at = skipCommas(body, end);
  }
  return { body: kept.join(start, at), credential };
}

/** The members that stay, as runs of bytes: however many there are, a run ends only where a credential stood. */
class KeptMembers {
  private readonly pieces: Buffer[] = [];
  private run: { readonly from: number; end: number } | null = null;

  constructor(private readonly body: Buffer) {}

  add(from: number, end: number): void {
    if (this.run === null) this.run = { from, end };
    else this.run.end = end;
  }

  interrupt(): void {
    if (this.run === null) return;
    if (this.pieces.length > 0) this.pieces.push(COMMA_BYTES);
    this.pieces.push(this.body.subarray(this.run.from, this.run.end));
    this.run = null;
  }

  /** The body from its beginning to where members start, the members, and what stands behind them. */
  join(start: number, end: number): Buffer {
    this.interrupt();
    return Buffer.concat([this.body.subarray(0, start), ...this.pieces, this.body.subarray(end)]);
  }
}

const COMMA_BYTES = Buffer.of(COMMA);

function parseCredential(bytes: Buffer): string | null {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'string' && value !== '' ? value : null;
  } catch {
    return null;
  }
}

function skipBlanks(body: Buffer, from: number): number {
  let at = from;
  while (isBlank(body[at])) at += 1;
  return at;
}

function skipCommas(body: Buffer, from: number): number {
  let at = from;
  while (body[at] === COMMA || isBlank(body[at])) at += 1;
  return at;
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** The position behind the string that begins at `from`. */
function skipString(body: Buffer, from: number): number {
  let at = from + 1;
  while (at < body.length && body[at] !== QUOTE) at += body[at] === BACKSLASH ? 2 : 1;
  return Math.min(at + 1, body.length);
}

/** The position behind the value that begins at `from`: a string, or whatever ends where its own brackets do. */
function skipValue(body: Buffer, from: number): number {
  let depth = 0;
  let at = from;
  while (at < body.length) {
    const byte = body[at];
    if (byte === QUOTE) {
      at = skipString(body, at);
      continue;
    }
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth += 1;
    if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth -= 1;
    if (depth < 0 || (depth === 0 && byte === COMMA)) return at;
    at += 1;
  }
  return at;
}
