import { randomBytes } from 'node:crypto';
import { startPostgresServer, stopAbandonedPostgres, type PostgresServer } from '@tollgate/embedded';

const OWNER = 'tollgate_owner';
const DATABASE = 'tollgate';
const APP_ROLE = 'tollgate_app';

/** A real Postgres that can be stopped as by a crash. Commits survive that: only a power cut would lose them. */
export class ChaosPostgres {
  private readonly password = randomBytes(12).toString('hex');
  private readonly appPassword = randomBytes(12).toString('hex');
  private server: PostgresServer | null = null;

  constructor(
    private readonly dataDir: string,
    readonly port: number,
  ) {}

  async start(): Promise<void> {
    this.server = await startPostgresServer({
      dataDir: this.dataDir,
      password: this.password,
      user: OWNER,
      port: this.port,
      durable: false,
      settings: { fsync: 'off', synchronous_commit: 'on', full_page_writes: 'off', max_connections: '150' },
    });
  }

  /** An immediate stop: every session is cut off where it is. Resolves when it is gone. */
  async crash(): Promise<void> {
    const { server } = this;
    if (server === null) return;
    this.server = null;
    process.kill(server.pid, 'SIGQUIT');
    await server.exited;
  }

  get pid(): number | null {
    return this.server?.pid ?? null;
  }

  /** The owner's URL, straight to the server: for the harness. */
  ownerUrl(database = DATABASE): string {
    return `postgresql://${OWNER}:${this.password}@127.0.0.1:${this.port}/${database}`;
  }

  /** The applications' URL, through a proxy's port. */
  appUrl(port = this.port): string {
    return `postgresql://${APP_ROLE}:${this.appPassword}@127.0.0.1:${port}/${DATABASE}`;
  }

  async stop(): Promise<void> {
    await this.server?.stop();
    this.server = null;
    await stopAbandonedPostgres(this.dataDir);
  }
}
