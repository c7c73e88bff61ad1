import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { inheritedEnvironment } from '@tollgate/runtime';
import {
  spawnFakeUpstream,
  startInstallation,
  type FakeUpstream,
  type FirstRunSecrets,
  type Installation as Launched,
} from '@tollgate/testing';
import { Pool } from 'pg';
import { AdminApi } from './admin-api.js';
import type { App, Installation } from './installation.js';
import { LogCanaries, expectNoLeaks, type Log } from './log-canaries.js';

const launcher = fileURLToPath(new URL('../../embedded/dist/main.js', import.meta.url));

export interface StartOptions {
  /** A data folder to start on; a new one if not given. */
  readonly dataDir?: string;
  readonly env?: Record<string, string>;
}

/** What a new user gets by `npm start`, with what a test needs to look at it as an operator. */
export class EmbeddedInstallation implements Installation {
  readonly testHost = '127.0.0.1';
  readonly isProxied = false;
  readonly canaries = new LogCanaries();
  /** Null on a data folder that had its first run before. */
  private readonly firstRun: FirstRunSecrets | null;

  private constructor(
    private launched: Launched,
    private readonly env: Record<string, string>,
  ) {
    this.firstRun = launched.output.includes('Operator token') ? launched.secrets : null;
    for (const secret of Object.values(this.secrets())) this.canaries.watch(secret);
    if (this.firstRun !== null) {
      this.canaries.watch(this.firstRun.operatorToken);
      this.canaries.watch(this.firstRun.apiKey);
    }
  }

  static async start({ dataDir, env = {} }: StartOptions = {}): Promise<EmbeddedInstallation> {
    return new EmbeddedInstallation(
      await startInstallation({ environment: env, ...(dataDir !== undefined && { dataDir }) }),
      env,
    );
  }

  get dataDir(): string {
    return this.launched.dataDir;
  }

  /** What the launcher printed since it was last started. */
  get output(): string {
    return this.launched.output;
  }

  get gatewayUrl(): string {
    return this.launched.gatewayOrigin;
  }

  get adminUrl(): string {
    return this.launched.adminOrigin;
  }

  get operatorToken(): string {
    return this.printed().operatorToken;
  }

  /** The API key that the first run printed. */
  get apiKey(): string {
    return this.printed().apiKey;
  }

  admin(operatorToken = this.operatorToken): AdminApi {
    return new AdminApi({
      adminUrl: this.adminUrl,
      gatewayUrl: this.gatewayUrl,
      operatorToken,
      canaries: this.canaries,
    });
  }

  database(): Pool {
    const [, port] = /Postgres\s+127\.0\.0\.1:(\d+)/.exec(this.output) ?? [];
    const pool = new Pool({
      connectionString: `postgres://tollgate_app:${this.secrets().appPassword}@127.0.0.1:${port}/tollgate`,
      max: 2,
    });
    pool.on('error', () => undefined);
    return pool;
  }

  startUpstream(): Promise<FakeUpstream> {
    return spawnFakeUpstream();
  }

  pidsOf(app: App): number[] {
    const pid = this.launched.pidOf(app);
    try {
      process.kill(pid, 0);
      return [pid];
    } catch {
      return [];
    }
  }

  kill(app: App): number[] {
    const pids = this.pidsOf(app);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    return pids;
  }

  /** Ctrl-C. */
  stop(): Promise<number | null> {
    return this.launched.stop('SIGINT');
  }

  async resume(): Promise<void> {
    const { dataDir, ports } = this.launched;
    this.launched = await startInstallation({ dataDir, ports, environment: this.env });
  }

  async discard(): Promise<void> {
    const leaks = this.canaries.leaksIn(this.logs());
    await this.launched.remove();
    expectNoLeaks(leaks);
  }

  async audit(): Promise<string> {
    const env = { ...inheritedEnvironment(), DATA_DIR: this.dataDir };
    const { stdout } = await promisify(execFile)(process.execPath, [launcher, 'audit'], { env });
    return stdout;
  }

  logs(): Log[] {
    const folder = join(this.dataDir, 'logs');
    const files = readdirSync(folder).map((name) => ({
      name,
      text: readFileSync(join(folder, name), 'utf8'),
    }));
    // The first run tells its user, once, the two secrets that are the user's.
    const { apiKey = '', operatorToken = '' } = this.firstRun ?? {};
    const printed = this.output.replaceAll(apiKey, '').replaceAll(operatorToken, '');
    return [...files, { name: 'what the launcher printed', text: printed }];
  }

  private printed(): FirstRunSecrets {
    if (this.firstRun === null) throw new Error('this data folder had its first run before');
    return this.firstRun;
  }

  private secrets(): Record<string, string> {
    return JSON.parse(readFileSync(join(this.dataDir, 'secrets.json'), 'utf8'));
  }
}
