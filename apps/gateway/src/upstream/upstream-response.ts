import type { IncomingHttpHeaders } from 'node:http';
import { faultPoint } from '@tollgate/runtime';
import type { Dispatcher } from 'undici';

/** The head of an upstream's answer. */
export interface UpstreamHead {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/** The request was given up from our side; the upstream's connection is closed. */
export class UpstreamAbortedError extends Error {
  override readonly name = 'UpstreamAbortedError';
}

type Controller = Dispatcher.DispatchController;

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One dispatched request: the head as a promise, then the body as chunks to be pulled. At most one chunk waits here:
 * while it does, the upstream's socket is paused, so that a slow client slows its upstream down and not our memory.
 */
export class UpstreamResponse implements Dispatcher.DispatchHandler {
  /** Resolves with the head; rejects if the upstream failed before it. */
  readonly head: Promise<UpstreamHead>;
  /** The request was written to the upstream's connection. */
  wasSent = false;
  private controller: Controller | null = null;
  private headWaiting: Waiting<UpstreamHead> | null = null;
  private chunk: Buffer | null = null;
  private chunkWaiting: Waiting<Buffer | null> | null = null;
  private ended = false;
  private error: Error | null = null;

  constructor() {
    this.head = new Promise((resolve, reject) => {
      this.headWaiting = { resolve, reject };
    });
    // A request that is aborted before anybody waits for its head is no unhandled rejection.
    this.head.catch(() => undefined);
  }

  /** The next chunk of the body, or null at its end. Rejects where the upstream failed or the request was aborted. */
  next(): Promise<Buffer | null> {
    const { chunk } = this;
    if (chunk !== null) {
      this.chunk = null;
      this.controller?.resume();
      return Promise.resolve(chunk);
    }
    if (this.error !== null) return Promise.reject(this.error);
    if (this.ended) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      this.chunkWaiting = { resolve, reject };
    });
  }

  /** The whole body as text. Rejects with UpstreamAbortedError beyond `bytesMax`. */
  async text(bytesMax: number): Promise<string> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for (let chunk = await this.next(); chunk !== null; chunk = await this.next()) {
      bytes += chunk.length;
      if (bytes > bytesMax) {
        this.abort(`the upstream answered more than ${String(bytesMax)} bytes`);
        throw new UpstreamAbortedError(`the upstream answered more than ${String(bytesMax)} bytes`);
      }
      chunks.push(chunk);
    }
    const [first] = chunks;
    return (chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)).toString('utf8');
  }

  /** Gives the request up and closes the upstream's connection. Nothing happens if it has ended already. */
  abort(reason: string): void {
    if (this.ended || this.error !== null) return;
    const error = new UpstreamAbortedError(reason);
    this.fail(error);
    this.controller?.abort(error);
  }

  onRequestStart(controller: Controller): void {
    this.controller = controller;
    if (this.error !== null) {
      controller.abort(this.error);
      return;
    }
    this.wasSent = true;
    faultPoint('g.upstream.sent');
  }

  onResponseStart(_controller: Controller, status: number, headers: IncomingHttpHeaders): void {
    const isInformational = status < 200;
    if (isInformational) return;
    this.headWaiting?.resolve({ status, headers });
    this.headWaiting = null;
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    // Resuming an idle socket makes undici deliver nothing at all; pausing for that would go round for ever.
    if (chunk.length === 0) return;
    if (this.chunkWaiting !== null) {
      const { resolve } = this.chunkWaiting;
      this.chunkWaiting = null;
      resolve(chunk);
      return;
    }
    // undici can deliver what it had already read after the pause.
    this.chunk = this.chunk === null ? chunk : Buffer.concat([this.chunk, chunk]);
    controller.pause();
  }

  onResponseEnd(): void {
    this.ended = true;
    this.chunkWaiting?.resolve(null);
    this.chunkWaiting = null;
  }

  onResponseError(_controller: Controller, error: Error): void {
    this.fail(error);
  }

  private fail(error: Error): void {
    if (this.error !== null || this.ended) return;
    this.error = error;
    this.headWaiting?.reject(error);
    this.headWaiting = null;
    this.chunkWaiting?.reject(error);
    this.chunkWaiting = null;
  }
}
