import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { inheritedEnvironment } from '@tollgate/runtime';
import { z } from 'zod';
import { deliveredSchema, type Delivered } from './delivered.js';

/** The upstream's process, as the harness sees it. */
export class Witness {
  private constructor(
    private readonly child: ChildProcess,
    readonly baseUrl: string,
  ) {}

  static async start(): Promise<Witness> {
    const main = fileURLToPath(new URL('./main.js', import.meta.url));
    const child = spawn(process.execPath, [main], {
      env: inheritedEnvironment(),
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const [message] = await once(child, 'message');
    const { port } = z.object({ port: z.number() }).parse(message);
    return new Witness(child, `http://127.0.0.1:${port}/v1`);
  }

  /** Everything that was delivered so far, in order of arrival. */
  async delivered(file: string): Promise<Delivered[]> {
    const answered = once(this.child, 'message');
    this.child.send({ writeTo: file });
    const [message] = await answered;
    const { written, failure } = z
      .object({ written: z.boolean(), failure: z.string().optional() })
      .parse(message);
    if (!written) throw new Error(`the upstream could not write its book: ${String(failure)}`);
    const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
    return lines.map((line) => deliveredSchema.parse(JSON.parse(line)));
  }

  stop(): void {
    this.child.disconnect();
  }
}
