import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { inheritedEnvironment } from '@tollgate/runtime';
import { z } from 'zod';
import type { ProxyTrouble } from './tcp-proxy.js';

const answerSchema = z.object({
  id: z.number(),
  result: z.number().optional(),
  failure: z.string().optional(),
});

/** The proxies of a run, steered from the harness. */
export class Proxies {
  private readonly waiting = new Map<
    number,
    { done: (result: number) => void; fail: (error: Error) => void }
  >();
  private nextId = 1;
  private readonly names: string[] = [];

  private constructor(private readonly child: ChildProcess) {
    child.on('message', (message) => {
      const { id, result, failure } = answerSchema.parse(message);
      const waiting = this.waiting.get(id);
      this.waiting.delete(id);
      if (failure === undefined) waiting?.done(result ?? 0);
      else waiting?.fail(new Error(failure));
    });
  }

  static async start(): Promise<Proxies> {
    const main = fileURLToPath(new URL('./main.js', import.meta.url));
    const child = spawn(process.execPath, [main], {
      env: inheritedEnvironment(),
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    await new Promise((resolve, reject) => {
      child.once('message', resolve);
      child.once('exit', (code) => reject(new Error(`the proxies ended with ${String(code)}`)));
    });
    return new Proxies(child);
  }

  /** Opens a proxy in front of a port; answers its own port. */
  open(name: string, targetPort: number): Promise<number> {
    this.names.push(name);
    return this.send({ do: 'open', name, targetPort });
  }

  /** Troubles the connections of one proxy, or none of them any more. Answers how many it has reset so far. */
  set(name: string, trouble: Partial<ProxyTrouble>): Promise<number> {
    return this.send({ do: 'set', name, trouble });
  }

  async cutAll(name: string): Promise<void> {
    await this.send({ do: 'cutAll', name });
  }

  /** Everything passes again. */
  async heal(): Promise<void> {
    await Promise.all(this.names.map((name) => this.set(name, {})));
  }

  stop(): void {
    this.child.disconnect();
  }

  private send(command: object): Promise<number> {
    const id = this.nextId;
    this.nextId += 1;
    return new Promise((done, fail) => {
      this.waiting.set(id, { done, fail });
      this.child.send({ id, ...command });
    });
  }
}
