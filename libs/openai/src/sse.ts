/** An upstream event that is larger than `SseDecoder` takes. */
export class SseEventTooLargeError extends Error {
  override readonly name = 'SseEventTooLargeError';
}

/** The bytes of one event at most. */
export const SSE_EVENT_BYTES_MAX = 8 * 1024 * 1024;

const LINE_FEED = 0x0a;

/**
 * Decodes a server-sent event stream (WHATWG HTML §9.2) into the data of its events, from chunks cut anywhere: LF or
 * CRLF, `data:` with or without a blank, several data lines, comments and other fields ignored, UTF-8 split across
 * chunks. Lone CR line ends, which no provider sends, are not line ends here.
 */
export class SseDecoder {
  /** Bytes after the last line end. Joined only when a line end comes, so that a long line is not copied again and again. */
  private rest: Buffer[] = [];
  private restBytes = 0;
  private dataLines: string[] = [];
  private dataBytes = 0;

  constructor(private readonly eventBytesMax = SSE_EVENT_BYTES_MAX) {}

  /** The data of each event that this chunk completes. @throws SseEventTooLargeError beyond the bound. */
  push(chunk: Buffer): string[] {
    const end = chunk.lastIndexOf(LINE_FEED);
    if (end === -1) {
      this.keep(chunk);
      return [];
    }
    const head = chunk.subarray(0, end);
    const text = (this.restBytes === 0 ? head : Buffer.concat([...this.rest, head])).toString('utf8');
    this.rest = [];
    this.restBytes = 0;
    this.keep(chunk.subarray(end + 1));
    return this.takeLines(text);
  }

  /** The data of a last event that came without its blank line. */
  end(): string[] {
    const events = this.takeLines(Buffer.concat(this.rest).toString('utf8'));
    this.rest = [];
    this.restBytes = 0;
    if (this.dataLines.length > 0) events.push(this.takeData());
    return events;
  }

  private keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.rest.push(bytes);
    this.restBytes += bytes.length;
    this.bound();
  }

  private takeLines(text: string): string[] {
    const events: string[] = [];
    for (const raw of text.split('\n')) {
      const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
      if (line === '') {
        if (this.dataLines.length > 0) events.push(this.takeData());
      } else if (line.startsWith('data:')) {
        const data = line.slice(line.charCodeAt(5) === 0x20 ? 6 : 5);
        this.dataLines.push(data);
        this.dataBytes += data.length;
        this.bound();
      }
    }
    return events;
  }

  private takeData(): string {
    const [first = ''] = this.dataLines;
    const data = this.dataLines.length === 1 ? first : this.dataLines.join('\n');
    this.dataLines = [];
    this.dataBytes = 0;
    return data;
  }

  private bound(): void {
    if (this.restBytes + this.dataBytes > this.eventBytesMax) {
      throw new SseEventTooLargeError(`an event of the upstream exceeds ${String(this.eventBytesMax)} bytes`);
    }
  }
}

/** The data of the event that ends a stream. */
export const SSE_DONE = '[DONE]';

/** One event as the public surface writes it: one data line, one blank after the colon, LF. */
export function encodeSseEvent(data: string): string {
  return `data: ${data}\n\n`;
}

/** A comment block that keeps idle connections open; clients ignore it. */
export const SSE_KEEP_ALIVE = ': keepalive\n\n';
