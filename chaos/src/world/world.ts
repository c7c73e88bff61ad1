import { cpSync, lstatSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from '@tollgate/embedded';
import { MasterKey } from '@tollgate/runtime';
import { Proxies } from '../proxy/proxies.js';
import { Witness } from '../upstream/witness.js';
import { AppProcess, type Life } from './app-process.js';
import { copyBuild, entryOf, type BuildPatch } from './build-copy.js';
import { ChaosPostgres } from './chaos-postgres.js';
import { ChaosRedis } from './chaos-redis.js';
import { prepareDatabase } from './database.js';

export interface WorldOptions {
  /** What part of their production values deadlines and intervals have. */
  readonly timeScale: number;
  readonly patches: readonly BuildPatch[];
  readonly nextFault: (app: App) => string | null;
  readonly onEnd: (name: string, life: Life) => void;
}

export type App = 'gateway' | 'billing' | 'admin';

/** Which processes there are. */
const PROCESSES: readonly { readonly name: string; readonly app: App }[] = [
  { name: 'gateway-1', app: 'gateway' },
  { name: 'gateway-2', app: 'gateway' },
  { name: 'billing-1', app: 'billing' },
  { name: 'billing-2', app: 'billing' },
  { name: 'admin-1', app: 'admin' },
];

const STOP_GRACE_MS = 5_000;

/** The names of the proxies of a process. */
export function proxyOf(name: string, server: 'redis' | 'postgres'): string {
  return `${name}-${server}`;
}

/** Everything that a run needs: real servers, the built processes, proxies between them, and an upstream. */
export class World {
  private constructor(
    readonly folder: string,
    readonly postgres: ChaosPostgres,
    readonly redis: ChaosRedis,
    readonly proxies: Proxies,
    readonly witness: Witness,
    readonly operatorToken: string,
    readonly masterKey: string,
    private readonly apps: ReadonlyMap<string, AppProcess>,
  ) {}

  static async start(options: WorldOptions): Promise<World> {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'tollgate-chaos-')));
    mkdirSync(join(folder, 'logs'));
    mkdirSync(join(folder, 'journals'));
    copyBuild(join(folder, 'build'), options.patches);
    const masterKey = MasterKey.generate();
    const postgres = new ChaosPostgres(join(folder, 'postgres'), await findFreePort());
    await postgres.start();
    const redis = await ChaosRedis.start({
      folder: join(folder, 'redis'),
      port: await findFreePort(),
      logFile: join(folder, 'logs', 'redis.log'),
    });
    const [proxies, witness] = await Promise.all([Proxies.start(), Witness.start()]);
    const operatorToken = await prepareDatabase(postgres, { masterKey, timeScale: options.timeScale });
    const apps = new Map<string, AppProcess>();
    for (const { name, app } of PROCESSES) {
      const postgresPort = await proxies.open(proxyOf(name, 'postgres'), postgres.port);
      const redisPort = await proxies.open(proxyOf(name, 'redis'), redis.port);
      const environment = {
        DATABASE_URL: postgres.appUrl(postgresPort),
        REDIS_URL: `redis://127.0.0.1:${redisPort}`,
        MASTER_KEY: masterKey,
        HOLD_STORE: 'redis',
        TIME_SCALE: String(options.timeScale),
        ...(app === 'gateway' && { JOURNAL_DIR: join(folder, 'journals') }),
      };
      apps.set(
        name,
        new AppProcess({
          name,
          environment,
          entry: entryOf(join(folder, 'build'), app),
          port: await findFreePort(),
          logFile: join(folder, 'logs', `${name}.log`),
          nextFault: () => options.nextFault(app),
          onEnd: (life) => options.onEnd(name, life),
        }),
      );
    }
    const world = new World(folder, postgres, redis, proxies, witness, operatorToken, masterKey, apps);
    process.once('exit', () => world.killAll());
    return world;
  }

  get journals(): string {
    return join(this.folder, 'journals');
  }

  app(name: string): AppProcess {
    const app = this.apps.get(name);
    if (app === undefined) throw new Error(`there is no process ${name}`);
    return app;
  }

  get gateways(): AppProcess[] {
    return [this.app('gateway-1'), this.app('gateway-2')];
  }

  get workers(): AppProcess[] {
    return [this.app('billing-1'), this.app('billing-2')];
  }

  get admin(): AppProcess {
    return this.app('admin-1');
  }

  async startApps(): Promise<void> {
    await Promise.all([...this.apps.values()].map((app) => app.start()));
  }

  /** Stops everything; the folder goes, except where it is to be kept for a look. */
  async stop(keepIn: string | null): Promise<void> {
    await Promise.all([...this.apps.values()].map((app) => app.stop(STOP_GRACE_MS)));
    this.proxies.stop();
    this.witness.stop();
    await Promise.all([this.redis.stop(), this.postgres.stop()]);
    if (keepIn !== null) {
      const filter = (path: string): boolean => !lstatSync(path).isSocket();
      for (const part of ['logs', 'journals']) {
        cpSync(join(this.folder, part), join(keepIn, part), { recursive: true, filter });
      }
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Whatever still runs when the harness goes: a frozen process would stay for ever. */
  private killAll(): void {
    const pids = [...this.apps.values()].map(({ pid }) => pid);
    for (const pid of [...pids, this.redis.pid, this.postgres.pid]) {
      try {
        if (pid !== null) process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
