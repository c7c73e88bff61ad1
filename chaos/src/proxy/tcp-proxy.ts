import { connect, createServer, type Server, type Socket } from 'node:net';

/** What a proxy does with its connections. */
export type ProxyMode =
  /** Passes bytes on. */
  | 'pass'
  /** Resets what is connected and whoever connects. */
  | 'refuse'
  /** Takes connections and bytes and passes nothing on, until it passes again. */
  | 'hold';

/** How a proxy spoils its connections, besides its mode. */
export interface ProxyTrouble {
  readonly mode: ProxyMode;
  /** Milliseconds by which every piece of an answer comes late. */
  readonly delayMs: number;
  /** Bytes of answers after which each connection is reset, counted from now; null: never. */
  readonly cutAfterBytes: number | null;
  /** Where a question holds this text, its connection is reset as the answer comes: nobody learns what became of it. Once each. */
  readonly cutAnswerTo: string | null;
}

const NO_TROUBLE: ProxyTrouble = { mode: 'pass', delayMs: 0, cutAfterBytes: null, cutAnswerTo: null };

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** What a held link has not passed on: to the client, to the server. */
  readonly heldAnswers: Buffer[];
  readonly heldQuestions: Buffer[];
  /** Answers that come late, in their order: a piece never overtakes the one before it, whatever the delay is by then. */
  readonly lateAnswers: { readonly bytes: Buffer; readonly dueAtMs: number }[];
  bytesLeft: number | null;
  isAnswerDoomed: boolean;
}

/** A TCP proxy in front of one server, for one process, which a crash test troubles. */
export class TcpProxy {
  private readonly server: Server;
  private readonly links = new Set<Link>();
  private trouble = NO_TROUBLE;
  /** Connections that were reset here. */
  cuts = 0;

  constructor(private readonly targetPort: number) {
    this.server = createServer((client) => this.take(client));
  }

  async listen(port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, '127.0.0.1', resolve);
    });
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    return address.port;
  }

  /** Replaces the trouble by another, or by none. */
  set(trouble: Partial<ProxyTrouble>): void {
    this.trouble = { ...NO_TROUBLE, ...trouble };
    const { mode, cutAfterBytes } = this.trouble;
    for (const link of this.links) {
      link.bytesLeft = cutAfterBytes;
      if (mode === 'refuse') this.cut(link);
      if (mode === 'pass') this.release(link);
    }
  }

  /** Resets all connections; new ones are taken. */
  cutAll(): void {
    for (const link of this.links) this.cut(link);
  }

  close(): void {
    this.server.close();
    this.cutAll();
  }

  private take(client: Socket): void {
    if (this.trouble.mode === 'refuse') {
      client.on('error', () => undefined);
      client.resetAndDestroy();
      return;
    }
    const server = connect(this.targetPort, '127.0.0.1');
    const link: Link = {
      client,
      server,
      heldAnswers: [],
      heldQuestions: [],
      lateAnswers: [],
      bytesLeft: this.trouble.cutAfterBytes,
      isAnswerDoomed: false,
    };
    this.links.add(link);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => this.end(link, socket));
      socket.on('end', () => (socket === client ? server : client).end());
    }
    client.on('data', (bytes) => this.question(link, bytes));
    server.on('data', (bytes) => this.answer(link, bytes));
  }

  private question(link: Link, bytes: Buffer): void {
    const { mode, cutAnswerTo } = this.trouble;
    if (cutAnswerTo !== null && bytes.includes(cutAnswerTo)) link.isAnswerDoomed = true;
    if (mode === 'hold') link.heldQuestions.push(bytes);
    else pass(link.client, link.server, bytes);
  }

  private answer(link: Link, bytes: Buffer): void {
    const { mode, delayMs } = this.trouble;
    if (link.isAnswerDoomed) {
      this.trouble = { ...this.trouble, cutAnswerTo: null };
      this.cut(link);
      return;
    }
    if (link.bytesLeft !== null) {
      link.bytesLeft -= bytes.length;
      if (link.bytesLeft < 0) {
        const allowed = bytes.length + link.bytesLeft;
        if (allowed > 0) link.client.write(bytes.subarray(0, allowed));
        this.cut(link);
        return;
      }
    }
    if (mode === 'hold') {
      link.heldAnswers.push(...link.lateAnswers.splice(0).map((late) => late.bytes), bytes);
    } else if (delayMs > 0 || link.lateAnswers.length > 0) this.delay(link, bytes);
    else pass(link.server, link.client, bytes);
  }

  private delay(link: Link, bytes: Buffer): void {
    const { lateAnswers } = link;
    lateAnswers.push({ bytes, dueAtMs: performance.now() + this.trouble.delayMs });
    if (lateAnswers.length > 1) return;
    const passNext = (): void => {
      const [next] = lateAnswers;
      if (next === undefined) return;
      const waitMs = next.dueAtMs - performance.now();
      if (waitMs > 0) {
        setTimeout(passNext, waitMs);
        return;
      }
      lateAnswers.shift();
      pass(link.server, link.client, next.bytes);
      passNext();
    };
    passNext();
  }

  private release(link: Link): void {
    for (const bytes of link.heldQuestions.splice(0)) pass(link.client, link.server, bytes);
    for (const bytes of link.heldAnswers.splice(0)) pass(link.server, link.client, bytes);
  }

  private cut(link: Link): void {
    if (!this.links.delete(link)) return;
    this.cuts += 1;
    link.client.resetAndDestroy();
    link.server.resetAndDestroy();
  }

  private end(link: Link, ended: Socket): void {
    this.links.delete(link);
    const other = ended === link.client ? link.server : link.client;
    if (other.destroyed) return;
    // A server that was killed resets its connections: its clients have to see that too.
    other.destroySoon();
  }
}

/** Writes no faster than the other side takes it. */
function pass(from: Socket, to: Socket, bytes: Buffer): void {
  if (to.destroyed || to.write(bytes)) return;
  from.pause();
  to.once('drain', () => from.resume());
}
