import { SseDecoder } from '@tollgate/openai';
import type { StreamReader, UpstreamForm } from '@tollgate/providers';
import type { UpstreamResponse } from './upstream-response.js';

/** An upstream's stream as text for the client: each piece holds whole events, one piece for each read of the upstream. */
export class AnswerStream {
  private readonly decoder = new SseDecoder();
  private ended = false;

  constructor(
    readonly response: UpstreamResponse,
    readonly reader: StreamReader,
    readonly form: UpstreamForm,
  ) {}

  /** The next piece, or null at the end of the upstream's stream. Rejects where the upstream failed. */
  async next(): Promise<string | null> {
    while (!this.ended) {
      const piece = this.read(await this.nextChunk());
      if (piece !== '') return piece;
    }
    return null;
  }

  /** An upstream that breaks off once the answer is complete has still given it. */
  private async nextChunk(): Promise<Buffer | null> {
    try {
      return await this.response.next();
    } catch (error) {
      if (this.reader.isFinished) return null;
      throw error;
    }
  }

  private read(chunk: Buffer | null): string {
    this.ended = chunk === null;
    const events = chunk === null ? this.decoder.end() : this.decoder.push(chunk);
    const [first] = events;
    if (events.length === 1 && first !== undefined) return this.reader.read(first);
    return events.map((data) => this.reader.read(data)).join('');
  }
}
