import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Delivery } from './delivery.js';

/** Writes an answer no faster than its reader takes it, and records every byte. */
export class RecordedWriter {
  private readonly gone = new AbortController();
  private resetByUs = false;

  constructor(
    private readonly response: ServerResponse,
    private readonly delivery: Delivery,
  ) {
    response.on('close', () => {
      delivery.closedAtMs ??= Date.now();
      if (!response.writableFinished) this.markAborted();
    });
    response.on('error', () => this.markAborted());
  }

  /** Aborted once the client has left. */
  get signal(): AbortSignal {
    return this.gone.signal;
  }

  head(status: number, headers: Record<string, string>): void {
    this.delivery.status = status;
    this.response.writeHead(status, headers);
    this.response.flushHeaders();
  }

  /** Hands bytes to the socket and waits until it wants more. @throws AbortError if the client leaves meanwhile. */
  async write(bytes: Buffer): Promise<void> {
    this.gone.signal.throwIfAborted();
    this.delivery.bytesHanded += bytes.length;
    const wantsMore = this.response.write(bytes, (error) => {
      if (!error) this.delivery.bytesDrained += bytes.length;
    });
    if (wantsMore) return;
    this.delivery.waits += 1;
    await once(this.response, 'drain', { signal: this.gone.signal });
  }

  /** Ends the answer and waits until all of it is out. */
  async end(): Promise<void> {
    const finished = once(this.response, 'finish', { signal: this.gone.signal });
    this.response.end();
    await finished;
    this.delivery.ended = true;
  }

  /** Breaks the connection with a TCP reset: this is us, not the client. */
  reset(): void {
    this.resetByUs = true;
    this.delivery.closedAtMs = Date.now();
    this.response.socket?.resetAndDestroy();
  }

  private markAborted(): void {
    if (this.delivery.ended || this.resetByUs) return;
    this.delivery.clientAborted = true;
    this.gone.abort();
  }
}
