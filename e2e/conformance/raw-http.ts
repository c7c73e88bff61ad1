import { connect, type Socket } from 'node:net';

/** What goes out, byte for byte: the head is written as it is given, so that odd blanks and names arrive as they are. */
export interface RawRequest {
  readonly method?: string;
  /** The request target as it stands in the request line. */
  readonly path: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string | Buffer;
  /** The body in these HTTP chunks instead of with a length. */
  readonly chunks?: readonly Buffer[];
}

/** What came back, with its bytes. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: { readonly [name: string]: string };
  /** The lines of the head, in order and as written. */
  readonly headLines: readonly string[];
  readonly body: Buffer;
  /** The chunks of a chunked body, each as it was written. */
  readonly chunks: readonly Buffer[];
  /** Every byte of the connection. */
  readonly bytes: Buffer;
  /** The answer came to its own end: its length, or the chunk of length zero. */
  readonly complete: boolean;
}

/**
 * Whether an answer is the proxy's own: of bytes that are no HTTP it makes none that a gateway could see, so it refuses them
 * itself, as proxies in front of other services do.
 */
export function isProxysOwn({ status, bytes }: RawAnswer): boolean {
  return status === 400 && bytes.toString('latin1').includes('Your browser sent an invalid request.');
}

const ANSWER_TIMEOUT_MS = 60_000;

/** The bytes of a request; `connection: close` and a host are added where they are not given. */
export function requestBytes(request: RawRequest): Buffer {
  const { method = request.body === undefined && request.chunks === undefined ? 'GET' : 'POST' } = request;
  const headers = [...(request.headers ?? [])];
  const has = (name: string): boolean => headers.some(([given]) => given.toLowerCase() === name);
  if (!has('host')) headers.unshift(['Host', 'gateway.test']);
  if (!has('connection')) headers.push(['Connection', 'close']);
  const body = Buffer.from(request.body ?? '');
  if (request.chunks !== undefined) headers.push(['Transfer-Encoding', 'chunked']);
  else if (request.body !== undefined && !has('content-length')) {
    headers.push(['Content-Length', String(body.length)]);
  }
  const head = [`${method} ${request.path} HTTP/1.1`, ...headers.map(([name, value]) => `${name}: ${value}`)];
  const chunks = (request.chunks ?? []).flatMap((chunk) => [
    Buffer.from(`${chunk.length.toString(16)}\r\n`),
    chunk,
    Buffer.from('\r\n'),
  ]);
  const end = request.chunks === undefined ? [] : [Buffer.from('0\r\n\r\n')];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body, ...chunks, ...end]);
}

/** An answer while it comes in. */
export class AnswerReader {
  private readonly pieces: Buffer[] = [];
  private parsed: RawAnswer | null = null;
  private parsedBytes = -1;

  constructor(private readonly method: string) {}

  push(piece: Buffer): void {
    this.pieces.push(piece);
  }

  /** What is there so far; null before the head is complete. */
  get current(): RawAnswer | null {
    const bytes = Buffer.concat(this.pieces);
    if (bytes.length !== this.parsedBytes) {
      this.parsed = parseAnswer(bytes, this.method);
      this.parsedBytes = bytes.length;
    }
    return this.parsed;
  }
}

/** Sends a request on a connection of its own and reads its answer. Rejects if none comes or it stays open too long. */
export function exchange(origin: string, request: RawRequest): Promise<RawAnswer> {
  const socket = open(origin);
  socket.write(requestBytes(request));
  return readAnswer(socket, request.method ?? 'GET');
}

/** A connection to the host of an origin. */
export function open(origin: string): Socket {
  const { hostname, port } = new URL(origin);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.setNoDelay(true);
  return socket;
}

/** Reads one answer to its end, then closes the connection. */
export function readAnswer(
  socket: Socket,
  method = 'GET',
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<RawAnswer> {
  const reader = new AnswerReader(method);
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      clearTimeout(timer);
      const answer = reader.current;
      socket.destroy();
      if (answer === null) reject(new Error('the connection ended without an answer'));
      else resolve(answer);
    };
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no complete answer within ${timeoutMs} ms`));
    }, timeoutMs);
    socket.on('data', (piece: Buffer) => {
      reader.push(piece);
      if (reader.current?.complete === true) finish();
    });
    socket.once('end', finish);
    socket.once('close', finish);
    // A gateway that closes while a large body is still being written resets the connection after its answer.
    socket.on('error', () => undefined);
  });
}

function parseAnswer(bytes: Buffer, method: string): RawAnswer | null {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd === -1) return null;
  const [statusLine = '', ...headLines] = bytes.subarray(0, headEnd).toString('latin1').split('\r\n');
  const status = Number(statusLine.split(' ')[1]);
  const rest = bytes.subarray(headEnd + 4);
  if (status === 100) {
    const final = parseAnswer(rest, method);
    return final === null ? null : { ...final, bytes };
  }
  const headers: Record<string, string> = {};
  for (const line of headLines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = name in headers ? `${headers[name] ?? ''}, ${value}` : value;
  }
  const base = { status, headers, headLines, bytes };
  if (method === 'HEAD' || status === 204 || status === 304) {
    return { ...base, body: Buffer.alloc(0), chunks: [], complete: true };
  }
  if (headers['transfer-encoding'] === 'chunked') return { ...base, ...parseChunks(rest) };
  const length = Number(headers['content-length'] ?? Number.NaN);
  const body = Number.isNaN(length) ? rest : rest.subarray(0, length);
  return { ...base, body, chunks: [], complete: rest.length >= length };
}

function parseChunks(bytes: Buffer): Pick<RawAnswer, 'body' | 'chunks' | 'complete'> {
  const chunks: Buffer[] = [];
  for (let at = 0; ;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    const length = lineEnd === -1 ? Number.NaN : Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    const next = lineEnd + 2 + length + 2;
    const isThere = Number.isFinite(length) && bytes.length >= next;
    if (!isThere || length === 0) {
      return { body: Buffer.concat(chunks), chunks, complete: isThere && length === 0 };
    }
    chunks.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + length));
    at = next;
  }
}
