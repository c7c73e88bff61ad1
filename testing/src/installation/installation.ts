import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findFreePort, stopAbandonedPostgres } from '@tollgate/embedded';
import { inheritedEnvironment } from '@tollgate/runtime';

/** The ports of an installation on 127.0.0.1. */
export interface InstallationPorts {
  readonly gateway: number;
  readonly admin: number;
  readonly billing: number;
  readonly demoUpstream: number;
}

export interface InstallationOptions {
  /** Folder to keep everything in; a new temporary one if not given. */
  readonly dataDir?: string;
  /** Ports; free ones if not given. Give those of an earlier start to start it again as it was. */
  readonly ports?: InstallationPorts;
  /** Further environment variables of the launcher. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** What a first run printed. */
export interface FirstRunSecrets {
  readonly operatorToken: string;
  readonly apiKey: string;
  readonly accountId: string;
}

const PROCESS_NAMES = ['gateway', 'admin', 'billing', 'demo-upstream'] as const;
export type ProcessName = (typeof PROCESS_NAMES)[number];

const START_TIMEOUT_MS = 120_000;
const PROCESS_END_TIMEOUT_MS = 100_000;
const POLL_MS = 50;
const READY_LINE = 'Ctrl-C stops everything.';
const launcher = fileURLToPath(new URL('../../../embedded/dist/main.js', import.meta.url));

/**
 * Starts a whole installation as `npm start` does, from what is built, and resolves when it is up. It ends when this
 * process does.
 * @throws Error with everything that the launcher printed, if it ends instead.
 */
export async function startInstallation(options: InstallationOptions = {}): Promise<Installation> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'tollgate-installation-'));
  const ports = options.ports ?? (await findFreePorts());
  const child = spawn(process.execPath, ['--enable-source-maps', launcher], {
    env: {
      ...inheritedEnvironment(),
      DATA_DIR: dataDir,
      GATEWAY_PORT: String(ports.gateway),
      ADMIN_PORT: String(ports.admin),
      BILLING_PORT: String(ports.billing),
      DEMO_UPSTREAM_PORT: String(ports.demoUpstream),
      ...options.environment,
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const installation = new Installation(child, { dataDir, ports });
  await installation.waitUntilUp();
  return installation;
}

/** An installation that a test started. */
export class Installation {
  readonly dataDir: string;
  readonly ports: InstallationPorts;
  /** What the launcher printed so far. */
  output = '';
  private readonly exited: Promise<number | null>;
  private readonly pids = new Map<ProcessName, number>();

  constructor(
    private readonly child: ChildProcess,
    place: { dataDir: string; ports: InstallationPorts },
  ) {
    this.dataDir = place.dataDir;
    this.ports = place.ports;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
    this.exited = new Promise((resolve) => child.once('close', resolve));
  }

  get gatewayOrigin(): string {
    return `http://127.0.0.1:${this.ports.gateway}`;
  }

  get adminOrigin(): string {
    return `http://127.0.0.1:${this.ports.admin}`;
  }

  get billingOrigin(): string {
    return `http://127.0.0.1:${this.ports.billing}`;
  }

  get launcherPid(): number {
    return this.child.pid ?? 0;
  }

  /** What the first run printed. @throws Error if this was not one. */
  get secrets(): FirstRunSecrets {
    const find = (pattern: RegExp): string => {
      const found = pattern.exec(this.output)?.[1];
      if (found === undefined) throw new Error(`this was no first run:\n${this.output}`);
      return found;
    };
    return {
      operatorToken: find(/Operator token (tgop_\w+)/),
      apiKey: find(/API key +(sk-\w+)/),
      accountId: find(/\/accounts\/([0-9a-f-]{36})\/transfers/),
    };
  }

  /** The id of a process that runs now. */
  pidOf(name: ProcessName): number {
    this.findProcesses();
    const pid = this.pids.get(name);
    if (pid === undefined) throw new Error(`there is no process ${name}`);
    return pid;
  }

  /** Asks it to stop as `kill` or Ctrl-C does; the launcher's exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return this.exited;
  }

  /** Kills the launcher and waits until its processes noticed and ended; Postgres stays. */
  async killLauncher(): Promise<void> {
    this.findProcesses();
    this.child.kill('SIGKILL');
    await this.exited;
    const deadlineMs = Date.now() + PROCESS_END_TIMEOUT_MS;
    while ([...this.pids.values()].some(isAlive)) {
      if (Date.now() > deadlineMs) throw new Error('processes outlived their launcher');
      await delay(POLL_MS);
    }
  }

  /** Ends whatever still runs and removes the data folder. */
  async remove(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.stop();
    await stopAbandonedPostgres(join(this.dataDir, 'postgres'));
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  async waitUntilUp(): Promise<void> {
    const deadlineMs = Date.now() + START_TIMEOUT_MS;
    while (!this.output.includes(READY_LINE)) {
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        await this.exited;
        throw new Error(`the installation did not start:\n${this.output}`);
      }
      if (Date.now() > deadlineMs) {
        await this.stop();
        throw new Error(`the installation did not start in time:\n${this.output}`);
      }
      await delay(POLL_MS);
    }
  }

  /** Looks up the launcher's children; those that ended keep their last id. */
  private findProcesses(): void {
    const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' });
    for (const line of stdout.split('\n')) {
      const [, pid, parent, command = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
      if (Number(parent) !== this.launcherPid) continue;
      const name = PROCESS_NAMES.find((candidate) => command.includes(`/${candidate}/`));
      if (name !== undefined) this.pids.set(name, Number(pid));
    }
  }
}

async function findFreePorts(): Promise<InstallationPorts> {
  const [gateway, admin, billing, demoUpstream] = [
    await findFreePort(),
    await findFreePort(),
    await findFreePort(),
    await findFreePort(),
  ];
  return { gateway, admin, billing, demoUpstream };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
