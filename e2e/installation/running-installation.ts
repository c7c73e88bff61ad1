import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startInstallation, type Installation } from '@tollgate/testing';
import { Pool } from 'pg';
import { AdminApi } from './admin-api.js';

export interface StartOptions {
  /** A data folder to start on; a new one if not given. */
  readonly dataDir?: string;
  readonly env?: Record<string, string>;
}

/** What a new user gets by `npm start`, with what a test needs to look at it as an operator. */
export class RunningInstallation {
  private constructor(private readonly installation: Installation) {}

  static async start(options: StartOptions = {}): Promise<RunningInstallation> {
    const { dataDir, env } = options;
    return new RunningInstallation(
      await startInstallation({
        ...(dataDir !== undefined && { dataDir }),
        ...(env !== undefined && { environment: env }),
      }),
    );
  }

  get dataDir(): string {
    return this.installation.dataDir;
  }

  /** What the launcher printed. */
  get output(): string {
    return this.installation.output;
  }

  get gatewayUrl(): string {
    return this.installation.gatewayOrigin;
  }

  get adminUrl(): string {
    return this.installation.adminOrigin;
  }

  /** The operator token that the first run printed. */
  get operatorToken(): string {
    return this.installation.secrets.operatorToken;
  }

  /** The API key that the first run printed. */
  get apiKey(): string {
    return this.installation.secrets.apiKey;
  }

  admin(operatorToken = this.operatorToken): AdminApi {
    return new AdminApi(this.adminUrl, operatorToken);
  }

  /** Connections to the ledger's database as the application's role: a test looks, it does not touch. */
  database(): Pool {
    const secrets = JSON.parse(readFileSync(join(this.dataDir, 'secrets.json'), 'utf8'));
    const [, port] = /Postgres\s+127\.0\.0\.1:(\d+)/.exec(this.output) ?? [];
    const pool = new Pool({
      connectionString: `postgres://tollgate_app:${secrets.appPassword}@127.0.0.1:${port}/tollgate`,
      max: 2,
    });
    pool.on('error', () => undefined);
    return pool;
  }

  /** The process id of one of the launcher's children at this moment; null while it is not running. */
  pidOf(app: 'gateway' | 'billing' | 'admin'): number | null {
    const pid = this.installation.pidOf(app);
    try {
      process.kill(pid, 0);
      return pid;
    } catch {
      return null;
    }
  }

  /** Kills one of the launcher's children with SIGKILL; answers the process id that it had. */
  kill(app: 'gateway' | 'billing'): number {
    const pid = this.installation.pidOf(app);
    process.kill(pid, 'SIGKILL');
    return pid;
  }

  /** Ctrl-C; answers the exit code. The data stays. */
  stop(): Promise<number | null> {
    return this.installation.stop('SIGINT');
  }

  /** Stops and removes the data. */
  async discard(): Promise<void> {
    await this.installation.remove();
  }
}
