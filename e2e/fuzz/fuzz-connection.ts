import type { Socket } from 'node:net';
import { AnswerReader, open, type RawAnswer } from '../conformance/raw-http.js';
import type { FuzzRequest } from './fuzz-requests.js';

const ANSWER_TIMEOUT_MS = 15_000;

/** One client that keeps its connection as long as the gateway does, and opens another one after that. */
export class FuzzConnection {
  private socket: Socket | null = null;

  constructor(private readonly origin: string) {}

  /** The answer to a request; null where the gateway closed the connection instead. Rejects where neither comes. */
  async send(request: FuzzRequest): Promise<RawAnswer | null> {
    const isKept = this.socket !== null;
    const answer = await this.exchange(request);
    // A kept connection may close just as it is used again: that says nothing about the request.
    if (answer === null && isKept && !request.spoilsConnection) return this.exchange(request);
    return answer;
  }

  close(): void {
    this.socket?.destroy();
    this.socket = null;
  }

  private exchange(request: FuzzRequest): Promise<RawAnswer | null> {
    const socket = this.connected();
    const reader = new AnswerReader(request.method);
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        socket.removeAllListeners('data').removeAllListeners('end').removeAllListeners('close');
        act();
      };
      const finish = (isOver: boolean): void =>
        settle(() => {
          const answer = reader.current;
          if (isOver || request.spoilsConnection || answer?.headers.connection === 'close') this.close();
          resolve(answer);
        });
      const timer = setTimeout(
        () =>
          settle(() => {
            this.close();
            const seen = reader.current?.bytes.toString('latin1') ?? 'nothing';
            reject(
              new Error(
                `no answer within ${ANSWER_TIMEOUT_MS} ms to ${JSON.stringify(request.bytes.toString('latin1').slice(0, 3_000))}, only ${seen}`,
              ),
            );
          }),
        ANSWER_TIMEOUT_MS,
      );
      socket.on('data', (piece: Buffer) => {
        reader.push(piece);
        if (reader.current?.complete === true) finish(false);
      });
      socket.once('end', () => finish(true));
      socket.once('close', () => finish(true));
      socket.write(request.bytes);
      // What is not whole is ended, so that the gateway need not wait for the rest.
      if (request.isCut) socket.end();
    });
  }

  private connected(): Socket {
    if (this.socket === null || this.socket.destroyed) {
      this.socket = open(this.origin);
      this.socket.on('error', () => undefined);
    }
    return this.socket;
  }
}
