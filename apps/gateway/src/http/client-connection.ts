import type { OutgoingHttpHeaders } from 'node:http';
import { SSE_KEEP_ALIVE } from '@tollgate/openai';
import type { FastifyReply } from 'fastify';
import { CLIENT_STALL_MAX_MS } from './gateway-limits.js';
import { writeStreamHead } from './response-head.js';

/** Silence after which a comment keeps the connection open through proxies. */
const KEEP_ALIVE_MS = 15_000;

/** The client went away, or takes nothing any more. */
export class ClientClosedError extends Error {
  override readonly name = 'ClientClosedError';
}

/** The client's end of one request. */
export class ClientConnection {
  private closed = false;
  private onClosed: (() => void) | null = null;
  private keepAlive: NodeJS.Timeout | null = null;
  /** Bytes written to the stream so far. */
  bytesWritten = 0;

  constructor(readonly reply: FastifyReply) {
    reply.raw.once('close', () => {
      if (this.keepAlive !== null) clearTimeout(this.keepAlive);
      if (reply.raw.writableFinished) return;
      this.closed = true;
      this.onClosed?.();
    });
  }

  /** True once the client left before its answer was complete. */
  get isClosed(): boolean {
    return this.closed;
  }

  /** Calls back once when the client leaves; the latest callback stands, null withdraws it. */
  whenClosed(callback: (() => void) | null): void {
    this.onClosed = callback;
    if (this.closed) callback?.();
  }

  /** Begins a stream: from here on the raw response is ours and no error can have a status any more. */
  begin(headers: OutgoingHttpHeaders): void {
    if (this.closed) throw new ClientClosedError('the client left');
    writeStreamHead(this.reply, headers);
    this.keepAlive = setTimeout(() => {
      if (!this.reply.raw.writableNeedDrain) this.reply.raw.write(SSE_KEEP_ALIVE);
      this.keepAlive?.refresh();
    }, KEEP_ALIVE_MS);
  }

  /**
   * Writes whole events. True if the socket takes more; else a promise that resolves once it does.
   * @throws ClientClosedError, also by rejection, if the client is gone or stalls for two minutes.
   */
  write(text: string): true | Promise<void> {
    if (this.closed) throw new ClientClosedError('the client left');
    this.bytesWritten += text.length;
    this.keepAlive?.refresh();
    return this.reply.raw.write(text) || this.drained();
  }

  /** Writes the last events and ends the stream. */
  end(text: string): void {
    if (this.keepAlive !== null) clearTimeout(this.keepAlive);
    if (!this.closed) this.reply.raw.end(text);
  }

  private drained(): Promise<void> {
    const { raw } = this.reply;
    return new Promise((resolve, reject) => {
      const settle = (error?: Error): void => {
        clearTimeout(stalled);
        raw.off('drain', onDrain);
        raw.off('close', onClose);
        if (error === undefined) resolve();
        else reject(error);
      };
      const onDrain = (): void => settle();
      const onClose = (): void => settle(new ClientClosedError('the client left'));
      const stalled = setTimeout(() => {
        raw.destroy();
      }, CLIENT_STALL_MAX_MS);
      raw.once('drain', onDrain);
      raw.once('close', onClose);
    });
  }
}
