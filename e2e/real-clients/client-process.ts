import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { inheritedEnvironment } from '@tollgate/runtime';
import { z } from 'zod';

const STOP_TIMEOUT_MS = 5_000;

/** What a client's script is asked to do; see clients/questions.mjs. */
export interface ClientRequest {
  readonly operation: 'text' | 'stream' | 'collect' | 'abort' | 'embed';
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly model: string;
  readonly prompt: string;
  readonly temperature?: number;
  readonly input?: string | readonly string[];
  readonly encodingFormat?: 'float';
  readonly abortAfterPieces?: number;
}

const usageSchema = z.strictObject({ promptTokens: z.number(), completionTokens: z.number() }).nullable();

const replySchema = z.strictObject({
  id: z.number(),
  answer: z
    .strictObject({
      text: z.string().optional(),
      pieces: z.array(z.string()).optional(),
      finishReason: z.string().nullable().optional(),
      usage: usageSchema.optional(),
      endedWith: z.string().nullable().optional(),
      vectors: z.array(z.array(z.number())).optional(),
      promptTokens: z.number().nullable().optional(),
    })
    .optional(),
  error: z
    .strictObject({ class: z.string(), status: z.number().nullable(), code: z.string().nullable() })
    .optional(),
  pieces: z.array(z.string()).optional(),
});

/** What the program with the client in it got, or what it caught. */
export type ClientReply = z.output<typeof replySchema>;

/** A client in a process of its own, as a program that uses it would run. */
export class ClientProcess {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, (reply: ClientReply | Error) => void>();
  private asked = 0;
  private complaints = '';

  constructor(options: { node: string; script: string }) {
    this.child = spawn(options.node, [options.script], {
      env: { ...inheritedEnvironment(), NODE_NO_WARNINGS: '1' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.child.on('error', (error) => this.giveUp(error));
    this.child.on('close', (code) => this.giveUp(new Error(`it ended with ${code}:\n${this.complaints}`)));
    this.child.stderr?.on('data', (piece: Buffer) => (this.complaints += piece.toString()));
    // Writing to a process that has ended: its end says more.
    this.child.stdin?.on('error', () => undefined);
    if (this.child.stdout === null) throw new Error('the client has no standard output');
    createInterface({ input: this.child.stdout }).on('line', (line) => this.read(line));
  }

  /** Rejects if the process ends before it has answered. */
  async ask(request: ClientRequest): Promise<ClientReply> {
    const id = (this.asked += 1);
    const reply = await new Promise<ClientReply | Error>((resolve) => {
      this.waiting.set(id, resolve);
      this.child.stdin?.write(`${JSON.stringify({ id, ...request })}\n`);
    });
    if (reply instanceof Error) throw reply;
    return reply;
  }

  /** Lets it end, and ends it if it does not. */
  async stop(): Promise<void> {
    const { child } = this;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    child.stdin?.end();
    await exited;
    clearTimeout(late);
  }

  private read(line: string): void {
    // Some packages write hints of their own to standard output.
    if (!line.startsWith('{"id":')) {
      this.complaints += `${line}\n`;
      return;
    }
    const reply = replySchema.parse(JSON.parse(line));
    this.waiting.get(reply.id)?.(reply);
    this.waiting.delete(reply.id);
  }

  private giveUp(error: Error): void {
    for (const settle of this.waiting.values()) settle(error);
    this.waiting.clear();
  }
}
