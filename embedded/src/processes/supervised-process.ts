import { spawn, type ChildProcess } from 'node:child_process';
import { relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError, EXIT_CONFIG } from '@tollgate/runtime';
import { LaunchError } from '../launch-error.js';
import { lastWords } from '../logs/last-words.js';
import { LogFile } from '../logs/log-file.js';
import { restartDelayMs } from './restart-delay.js';

/** A process of ours that is kept running. */
export interface ProcessSpec {
  /** As the operator knows it. */
  readonly name: string;
  /** The JavaScript file that it runs. */
  readonly entry: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly logFile: string;
  /** Where it answers `/health/ready`. */
  readonly origin: string;
  /** How long it may take to end its work when told to stop. */
  readonly drainTimeoutMs: number;
  /** Tells the operator. */
  readonly report: (message: string) => void;
}

/** One that ran so long was well: its next failure is a first one again. */
const STABLE_MS = 60_000;
/** So many ends before it was ever ready mean that it will not start at all. */
const START_FAILURES_MAX = 3;
const READY_POLL_MS = 100;
const READY_TIMEOUT_MS = 90_000;
const HEALTH_TIMEOUT_MS = 2_000;

/**
 * Runs a process and starts it again whenever it ends, with a growing delay. It lives in a process group of its own, so
 * that Ctrl-C reaches only the launcher, which stops everything in order. It is tied to the launcher by an IPC channel:
 * when the launcher dies, the channel closes and the process drains and ends by itself.
 */
export class SupervisedProcess {
  private child: ChildProcess | null = null;
  /** The log from where the last start began. */
  private log: LogFile | null = null;
  private failures = 0;
  /** It ended because of its environment, which no further start changes. */
  private isRefused = false;
  private wasReady = false;
  private stopping: Promise<void> | null = null;
  private isReplaced = false;
  private restart: NodeJS.Timeout | null = null;

  constructor(private readonly spec: ProcessSpec) {}

  get name(): string {
    return this.spec.name;
  }

  /** The id of the process that runs now, null between two runs. */
  get pid(): number | null {
    return this.child?.pid ?? null;
  }

  start(): void {
    const { entry, environment, logFile } = this.spec;
    const log = LogFile.open(logFile);
    const startedMs = performance.now();
    const child = spawn(process.execPath, ['--enable-source-maps', entry], {
      env: environment,
      detached: true,
      stdio: ['ignore', log.descriptor, log.descriptor, 'ipc'],
    });
    log.close();
    this.log = log;
    this.child = child;
    let ended = false;
    const onEnd = (how: string): void => {
      if (ended) return;
      ended = true;
      this.child = null;
      this.onEnd(how, performance.now() - startedMs);
    };
    child.once('error', (error) => onEnd(error.message));
    child.once('exit', (code, signal) => {
      this.isRefused = code === EXIT_CONFIG;
      onEnd(signal ?? `exit code ${code}`);
    });
  }

  /**
   * Resolves once it is ready.
   * @throws ConfigError if its environment is what keeps it from that, else LaunchError with its last messages.
   */
  async waitUntilReady(signal: AbortSignal): Promise<void> {
    const { name, origin } = this.spec;
    const deadlineMs = Date.now() + READY_TIMEOUT_MS;
    while (!(await isReady(origin))) {
      signal.throwIfAborted();
      if (this.isRefused) {
        throw new ConfigError(`${name}: ${this.lastWords()}\nNothing of Tollgate is left running.`);
      }
      if (this.failures >= START_FAILURES_MAX) throw this.startError(`${name}: it keeps ending.`);
      if (Date.now() > deadlineMs) {
        throw this.startError(`${name}: it did not become ready within ${READY_TIMEOUT_MS / 1000} s.`);
      }
      await delay(READY_POLL_MS);
    }
    this.wasReady = true;
  }

  /** Lets it end its work, and starts it anew at once: what it runs was built again. */
  async replace(): Promise<void> {
    if (this.stopping !== null || this.isReplaced) return;
    this.isReplaced = true;
    await this.end();
    this.isReplaced = false;
    this.failures = 0;
    // A stop may have come meanwhile; this test follows an await.
    if (!this.isStopping()) this.start();
  }

  /** Lets it end its work and stop; one that takes too long is killed. */
  stop(): Promise<void> {
    this.stopping ??= this.end();
    return this.stopping;
  }

  /** Ends it at once. */
  kill(): void {
    this.stopping ??= Promise.resolve();
    if (this.restart !== null) clearTimeout(this.restart);
    this.signal('SIGKILL');
  }

  private isStopping(): boolean {
    return this.stopping !== null;
  }

  private async end(): Promise<void> {
    if (this.restart !== null) clearTimeout(this.restart);
    const { child } = this;
    if (child === null) return;
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    this.signal('SIGTERM');
    const late = setTimeout(() => {
      this.spec.report(
        `${this.spec.name}: did not stop within ${this.spec.drainTimeoutMs / 1000} s and is killed.`,
      );
      this.signal('SIGKILL');
    }, this.spec.drainTimeoutMs);
    await exited;
    clearTimeout(late);
  }

  private onEnd(how: string, livedMs: number): void {
    if (this.stopping !== null || this.isReplaced) return;
    if (livedMs > STABLE_MS) this.failures = 0;
    this.failures += 1;
    if (this.isRefused && !this.wasReady) return;
    const waitMs = restartDelayMs(this.failures);
    // Until it was ready once, the start reports what is wrong.
    if (this.wasReady) {
      this.spec.report(`${this.spec.name}: ended (${how}), starting it again in ${waitMs / 1000} s.`);
    }
    this.restart = setTimeout(() => {
      this.restart = null;
      this.start();
    }, waitMs);
  }

  /** Signals the whole group of the process. */
  private signal(signal: NodeJS.Signals): void {
    const pid = this.child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(process.platform === 'win32' ? pid : -pid, signal);
    } catch {
      // It is gone already.
    }
  }

  private startError(problem: string): LaunchError {
    const { logFile } = this.spec;
    return new LaunchError(
      `${problem} Its last messages (more in ${relative('.', logFile)}):\n\n${this.lastWords()}`,
    );
  }

  /** What it said since its last start; what earlier runs wrote into the same file says nothing about this one. */
  private lastWords(): string {
    return lastWords(this.log?.read() ?? '');
  }
}

async function isReady(origin: string): Promise<boolean> {
  try {
    const response = await fetch(new URL('/health/ready', origin), {
      signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS),
    });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}
