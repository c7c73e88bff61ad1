import { execFileSync, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { inheritedEnvironment } from '@tollgate/runtime';
import type { OwnerCommand, OwnerOptions, OwnerState } from '../journal-owner.spec-kit.js';

const sources = join(__dirname, '../../../..');
const loader = join(sources, 'testing/typescript-loader.mjs');

/** A folder for journals; short, because sockets are made in it. */
export function journalRoot(): string {
  return mkdtempSync(join(tmpdir(), 'tgj-'));
}

/** The folders of processes under a root. */
export function foldersIn(root: string): string[] {
  return readdirSync(root).filter((name) => !name.startsWith('.'));
}

/** A program of this repository, from its source, in a process of its own. */
export class SourceProcess {
  readonly exited: Promise<number | null>;
  output = '';

  constructor(readonly child: ChildProcessWithoutNullStreams) {
    this.exited = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    child.stderr.on('data', (piece) => (this.output += String(piece)));
  }

  static start(
    file: string,
    options: { argument?: string; environment?: Record<string, string> } = {},
  ): SourceProcess {
    const { argument = '', environment = {} } = options;
    const command = [process.execPath, '--import', loader, join(sources, file), argument];
    // A file that may not grow then fails like one on a full disk, instead of killing the process.
    const child = spawn('sh', ['-c', `trap '' XFSZ; exec "$@"`, 'sh', ...command], {
      cwd: sources,
      env: { ...inheritedEnvironment(), ...environment },
    });
    return new SourceProcess(child);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Bytes that a file of it may have from now on: `0:unlimited` is a full disk, `unlimited` none. Needs no root. */
  limitFiles(limit: string): void {
    execFileSync('prlimit', ['--pid', String(this.child.pid), `--fsize=${limit}`]);
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}

/** A process that keeps a journal: see ../journal-owner.spec-kit.ts. */
export class JournalOwner {
  private readonly answers: ((line: string) => void)[] = [];

  private constructor(private readonly running: SourceProcess) {
    createInterface(running.child.stdout).on('line', (line) => this.answers.shift()?.(line));
    void running.exited.then(() => this.answers.splice(0).forEach((answer) => answer('{"error":"gone"}')));
  }

  static async start(options: OwnerOptions): Promise<JournalOwner> {
    const owner = new JournalOwner(
      SourceProcess.start('apps/gateway/src/journal-owner.spec-kit.ts', {
        argument: JSON.stringify(options),
      }),
    );
    await owner.state();
    return owner;
  }

  async tell(command: OwnerCommand): Promise<unknown> {
    const answered = new Promise<string>((resolve) => this.answers.push(resolve));
    this.running.child.stdin.write(`${JSON.stringify(command)}\n`);
    const answer: { value?: unknown; error?: string } = JSON.parse(await answered);
    if (answer.error !== undefined) throw new Error(`${answer.error}\n${this.running.output}`);
    return answer.value;
  }

  async state(): Promise<OwnerState> {
    return (await this.tell({ do: 'state' })) as OwnerState;
  }

  signal(signal: NodeJS.Signals): void {
    this.running.signal(signal);
  }

  limitFiles(limit: string): void {
    this.running.limitFiles(limit);
  }

  kill(): Promise<void> {
    return this.running.kill();
  }
}
