import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inheritedEnvironment } from '@tollgate/runtime';
import { Pool } from 'pg';
import { AdminApi } from './admin-api.js';

const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 90_000;
const ROOT = resolve(__dirname, '../..');

export interface StartOptions {
  /** A data folder to start on; a new one if not given. */
  readonly dataDir?: string;
  readonly env?: Record<string, string>;
}

/** What a new user gets by `npm start`: the built launcher in a process of its own, on free ports and its own data. */
export class RunningInstallation {
  private constructor(
    readonly dataDir: string,
    readonly output: string,
    private readonly child: ChildProcess,
    private readonly ports: Ports,
  ) {}

  static async start(options: StartOptions = {}): Promise<RunningInstallation> {
    const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'tollgate-e2e-')));
    const ports = await freePorts();
    const child = spawn(process.execPath, [join(ROOT, 'embedded/dist/main.js')], {
      cwd: ROOT,
      env: {
        ...inheritedEnvironment(),
        DATA_DIR: dataDir,
        GATEWAY_PORT: String(ports.gateway),
        ADMIN_PORT: String(ports.admin),
        BILLING_PORT: String(ports.billing),
        DEMO_UPSTREAM_PORT: String(ports.demoUpstream),
        ...options.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    try {
      const output = await outputUntilUp(child);
      return new RunningInstallation(dataDir, output, child, ports);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  get gatewayUrl(): string {
    return `http://127.0.0.1:${this.ports.gateway}`;
  }

  get adminUrl(): string {
    return `http://127.0.0.1:${this.ports.admin}`;
  }

  /** The operator token that the first run printed. */
  get operatorToken(): string {
    return this.printed(/Operator token (\S+)/);
  }

  /** The API key that the first run printed. */
  get apiKey(): string {
    return this.printed(/API key\s+(sk-\S+)/);
  }

  admin(operatorToken = this.operatorToken): AdminApi {
    return new AdminApi(this.adminUrl, operatorToken);
  }

  /** Connections to the ledger's database as the application's role: a test looks, it does not touch. */
  database(): Pool {
    const secrets = JSON.parse(readFileSync(join(this.dataDir, 'secrets.json'), 'utf8')) as {
      appPassword: string;
    };
    const port = this.printed(/Postgres\s+127\.0\.0\.1:(\d+)/);
    const pool = new Pool({
      connectionString: `postgres://tollgate_app:${secrets.appPassword}@127.0.0.1:${port}/tollgate`,
      max: 2,
    });
    pool.on('error', () => undefined);
    return pool;
  }

  /** The process id of one of the launcher's children at this moment; null while it is not running. */
  pidOf(app: 'gateway' | 'billing' | 'admin'): number | null {
    const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' });
    for (const line of table.split('\n')) {
      const [, pid, parent, args = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
      if (Number(parent) === this.child.pid && args.includes(`apps/${app}/dist/main.js`)) return Number(pid);
    }
    return null;
  }

  /** Kills one of the launcher's children with SIGKILL. */
  kill(app: 'gateway' | 'billing'): void {
    const pid = this.pidOf(app);
    if (pid === null) throw new Error(`${app} is not running`);
    process.kill(pid, 'SIGKILL');
  }

  /** Ctrl-C; answers the exit code. The data stays. */
  async stop(): Promise<number | null> {
    if (this.child.exitCode !== null) return this.child.exitCode;
    const exited = new Promise<number | null>((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGINT');
    const code = await Promise.race([exited, delay(STOP_TIMEOUT_MS, 'late' as const, { ref: false })]);
    if (code !== 'late') return code;
    this.child.kill('SIGKILL');
    throw new Error('the launcher did not stop in time');
  }

  /** Stops and removes the data. */
  async discard(): Promise<void> {
    await this.stop();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  private printed(pattern: RegExp): string {
    const [, value] = pattern.exec(this.output) ?? [];
    if (value === undefined) {
      throw new Error(`the launcher did not print ${String(pattern)}:\n${this.output}`);
    }
    return value;
  }
}

interface Ports {
  readonly gateway: number;
  readonly admin: number;
  readonly billing: number;
  readonly demoUpstream: number;
}

async function freePorts(): Promise<Ports> {
  const servers = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const [gateway = 0, admin = 0, billing = 0, demoUpstream = 0] = servers.map(
    (server) => (server.address() as AddressInfo).port,
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return { gateway, admin, billing, demoUpstream };
}

async function outputUntilUp(child: ChildProcess): Promise<string> {
  let output = '';
  const up = new Promise<string>((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      output += chunk.toString();
      if (output.includes('Ctrl-C stops everything.')) resolve(output);
    };
    child.stdout?.on('data', take);
    child.stderr?.on('data', take);
    child.once('exit', (code) => reject(new Error(`the launcher ended with ${String(code)}:\n${output}`)));
  });
  const late = delay(START_TIMEOUT_MS, undefined, { ref: false }).then(() => {
    throw new Error(`the launcher was not up in time:\n${output}`);
  });
  late.catch(() => undefined);
  return Promise.race([up, late]);
}
