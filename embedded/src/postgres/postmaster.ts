import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { PostgresBinaries } from './binaries.js';
import type { LogFile } from '../logs/log-file.js';
import { PostgresError } from './postgres-error.js';
import { isPostmasterOf } from './postmaster-pid.js';
import { postgresEnvironment, type ProcessIdentity } from './process-identity.js';
import { codeOf } from '../thrown.js';

/** The main process of a Postgres server. */
export interface Postmaster {
  readonly pid: number;
  readonly exited: Promise<void>;
  /** Stops it and resolves when it is gone. */
  stop(): Promise<void>;
}

/** Sessions are ended and a checkpoint is written; then Postgres is told to drop everything; then it is killed. */
const FAST_STOP_TIMEOUT_MS = 60_000;
const IMMEDIATE_STOP_TIMEOUT_MS = 5_000;
const WATCH_MS = 200;

/** Signals of the Postgres manual, "Shutting Down the Server": SIGINT is fast, SIGQUIT immediate. */
async function stopProcess(pid: number, exited: Promise<void>): Promise<void> {
  const steps: [NodeJS.Signals, number][] = [
    ['SIGINT', FAST_STOP_TIMEOUT_MS],
    ['SIGQUIT', IMMEDIATE_STOP_TIMEOUT_MS],
    ['SIGKILL', IMMEDIATE_STOP_TIMEOUT_MS],
  ];
  for (const [signal, timeoutMs] of steps) {
    if (!sendSignal(pid, signal)) return exited;
    const timeout = new AbortController();
    const late = delay(timeoutMs, true, { signal: timeout.signal }).catch(() => true);
    const gone = exited.then(() => false);
    if (!(await Promise.race([late, gone]))) {
      timeout.abort();
      return;
    }
  }
  throw new PostgresError(`Postgres (process ${pid}) cannot be stopped.`);
}

/** Whether the process was still there to be told. */
function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false;
    throw new PostgresError(
      `Postgres (process ${pid}) belongs to another user and cannot be stopped by this one.`,
      {
        cause: error,
      },
    );
  }
}

/** A Postgres that this process started. */
export class SpawnedPostmaster implements Postmaster {
  readonly pid: number;
  readonly exited: Promise<void>;
  private stopping: Promise<void> | null = null;

  private constructor(
    private readonly child: ChildProcess,
    private readonly stopCommand: readonly string[] | null,
  ) {
    this.pid = child.pid ?? 0;
    this.exited = new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
    child.unref();
  }

  static spawn(options: {
    binaries: PostgresBinaries;
    identity: ProcessIdentity;
    dataDir: string;
    port: number;
    settings: Readonly<Record<string, string>>;
    log: LogFile;
  }): SpawnedPostmaster {
    const { binaries, identity, dataDir, port, log } = options;
    const settings = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      port: String(port),
      timezone: 'UTC',
      log_timezone: 'UTC',
      jit: 'off',
      ...options.settings,
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const [file = '', ...args] = [...identity.prefix, binaries.postgres, '-D', dataDir, ...flags];
    const child = spawn(file, args, {
      ...identity.credentials,
      cwd: dataDir,
      env: postgresEnvironment(),
      detached: true,
      stdio: ['ignore', log.descriptor, log.descriptor],
    });
    // Windows has no signals: there pg_ctl asks Postgres to stop.
    const stopCommand =
      process.platform === 'win32' ? [binaries.pgCtl, 'stop', '-D', dataDir, '-m', 'fast'] : null;
    return new SpawnedPostmaster(child, stopCommand);
  }

  get hasExited(): boolean {
    return this.pid === 0 || this.child.exitCode !== null || this.child.signalCode !== null;
  }

  stop(): Promise<void> {
    this.stopping ??= this.hasExited ? Promise.resolve() : this.end();
    return this.stopping;
  }

  private async end(): Promise<void> {
    this.child.ref();
    if (this.stopCommand !== null) {
      const [file = '', ...args] = this.stopCommand;
      spawnSync(file, args);
      await this.exited;
      return;
    }
    await stopProcess(this.pid, this.exited);
  }
}

/** A Postgres that another process started on the same data folder and left behind. */
export class AdoptedPostmaster implements Postmaster {
  readonly exited: Promise<void>;
  private stopping: Promise<void> | null = null;

  constructor(
    readonly pid: number,
    dataDir: string,
  ) {
    this.exited = new Promise((resolve) => {
      const watch = setInterval(() => {
        if (isPostmasterOf(pid, dataDir)) return;
        clearInterval(watch);
        resolve();
      }, WATCH_MS);
      watch.unref();
    });
  }

  stop(): Promise<void> {
    this.stopping ??= this.end();
    return this.stopping;
  }

  private async end(): Promise<void> {
    // The watch alone does not keep this process alive until the end.
    const alive = setInterval(() => undefined, WATCH_MS);
    try {
      await stopProcess(this.pid, this.exited);
    } finally {
      clearInterval(alive);
    }
  }
}
