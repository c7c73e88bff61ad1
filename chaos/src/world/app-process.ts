import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { inheritedEnvironment } from '@tollgate/runtime';

/** One life of a process. Times are milliseconds since the epoch. */
export interface Life {
  readonly startedAtMs: number;
  readonly pid: number;
  /** The point at which it was to die, if it was; null: none. */
  readonly armedFault: string | null;
  readyAtMs: number | null;
  endedAtMs: number | null;
  /** A signal, or an exit code in words. */
  end: string | null;
  /** The harness ended it, or asked it to end. */
  isEndWanted: boolean;
}

/** From when to when a process was frozen, in milliseconds since the epoch. */
export interface Freeze {
  readonly fromMs: number;
  toMs: number | null;
}

export interface AppProcessOptions {
  /** Such as `gateway-1`. */
  readonly name: string;
  readonly entry: string;
  readonly port: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** The point at which its next life ends, as FAULT takes it; null: none. */
  readonly nextFault: () => string | null;
  /** Told of the end of each life. */
  readonly onEnd: (life: Life) => void;
}

const READY_POLL_MS = 25;
const READY_MAX_MS = 180_000;
const RESTART_DELAY_MS = 100;
const FAILED_RESTART_DELAY_MS = 500;

/** A process of Tollgate as a supervisor runs it: started again whenever it ends, until it is told to stay down. */
export class AppProcess {
  readonly lives: Life[] = [];
  readonly freezes: Freeze[] = [];
  private child: ChildProcess | null = null;
  private isDown = true;
  private isHeld = false;

  constructor(private readonly options: AppProcessOptions) {}

  get name(): string {
    return this.options.name;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.options.port}`;
  }

  get isReady(): boolean {
    const life = this.lives.at(-1);
    return life !== undefined && life.readyAtMs !== null && life.endedAtMs === null;
  }

  get isFrozen(): boolean {
    return this.freezes.at(-1)?.toMs === null;
  }

  get pid(): number | null {
    return this.child?.pid ?? null;
  }

  /** Starts it, and keeps it running. Resolves once it is ready for the first time. */
  async start(): Promise<void> {
    this.isDown = false;
    this.launch();
    await this.untilReady();
  }

  async untilReady(maxMs = READY_MAX_MS): Promise<void> {
    const deadlineMs = Date.now() + maxMs;
    while (!this.isReady) {
      if (Date.now() > deadlineMs) throw new Error(`${this.name} is not ready:\n${this.lastWords()}`);
      await delay(READY_POLL_MS);
    }
  }

  /** Ends this life with a signal; the next one begins by itself. False if there is none to end. */
  kill(signal: 'SIGKILL' | 'SIGTERM'): boolean {
    const life = this.lives.at(-1);
    if (this.child === null || life === undefined || life.endedAtMs !== null) return false;
    life.isEndWanted = true;
    return this.child.kill(signal);
  }

  /** Stops it where it is, until `resume`. */
  freeze(): boolean {
    if (this.child === null || this.isFrozen || !this.child.kill('SIGSTOP')) return false;
    this.freezes.push({ fromMs: Date.now(), toMs: null });
    return true;
  }

  resume(): void {
    this.endFreeze();
    this.child?.kill('SIGCONT');
  }

  /** Keeps the next life from beginning, until `letGo`. */
  hold(): void {
    this.isHeld = true;
  }

  letGo(): void {
    this.isHeld = false;
  }

  /** Ends it for good: in order, and if that takes too long by force. */
  async stop(graceMs: number): Promise<void> {
    this.isDown = true;
    const { child } = this;
    const life = this.lives.at(-1);
    if (child === null || life === undefined || life.endedAtMs !== null) return;
    this.resume();
    life.isEndWanted = true;
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const late = delay(graceMs, 'late' as const);
    if ((await Promise.race([exited, late])) === 'late') {
      child.kill('SIGKILL');
      await exited;
    }
  }

  /** The end of what it wrote to its log. */
  lastWords(): string {
    return readFileSync(this.options.logFile, 'utf8').split('\n').slice(-12).join('\n');
  }

  private launch(): void {
    const { entry, environment, logFile, nextFault, port } = this.options;
    const armedFault = nextFault();
    const log = openSync(logFile, 'a');
    const child = spawn(process.execPath, ['--enable-source-maps', entry], {
      env: {
        ...inheritedEnvironment(),
        ...environment,
        HOST: '127.0.0.1',
        PORT: String(port),
        FAULT: armedFault ?? '',
      },
      // The channel ends the process with the harness, however that ends.
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    this.child = child;
    const life: Life = {
      startedAtMs: Date.now(),
      pid: child.pid ?? 0,
      armedFault,
      readyAtMs: null,
      endedAtMs: null,
      end: null,
      isEndWanted: false,
    };
    this.lives.push(life);
    child.once('exit', (code, signal) => void this.afterEnd(life, signal ?? `exit code ${String(code)}`));
    void this.watch(life);
  }

  private async watch(life: Life): Promise<void> {
    while (life.endedAtMs === null) {
      const answer = await fetch(`${this.origin}/health/ready`, { signal: AbortSignal.timeout(2_000) }).catch(
        () => null,
      );
      if (answer?.status === 200) {
        life.readyAtMs = Date.now();
        return;
      }
      await delay(READY_POLL_MS);
    }
  }

  private async afterEnd(life: Life, end: string): Promise<void> {
    life.endedAtMs = Date.now();
    life.end = end;
    this.endFreeze();
    this.options.onEnd(life);
    await delay(life.readyAtMs === null ? FAILED_RESTART_DELAY_MS : RESTART_DELAY_MS);
    while (this.isHeld && !this.isDown) await delay(READY_POLL_MS);
    if (!this.isDown) this.launch();
  }

  private endFreeze(): void {
    const freeze = this.freezes.at(-1);
    if (freeze !== undefined) freeze.toMs ??= Date.now();
  }
}
