import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, MasterKey, loadConfig } from '@tollgate/runtime';
import { banner } from './banner.js';
import { CHECKOUT, dataDirOf } from './data-folder/data-dir.js';
import { DataLock } from './data-folder/data-lock.js';
import { isFirstRunDone, recordFirstRun } from './data-folder/first-run-record.js';
import { MadeFolders } from './data-folder/made-folders.js';
import { assertNoUnfinishedRestore } from './data-folder/restore-record.js';
import { loadSecrets, type Secrets } from './data-folder/secrets.js';
import { prepareOwnDatabase } from './database/own-database.js';
import { prepareSchema } from './database/prepare-schema.js';
import { EmbeddedDatabase } from './database/embedded-database.js';
import { setUp } from './first-run/set-up.js';
import { launcherConfigSchema, type LauncherConfig } from './launcher.config.js';
import { boundLog } from './logs/log-file.js';
import { assertPortsUsable, type WantedPort } from './ports/port-check.js';
import { watchBuilds } from './processes/build-watch.js';
import { DEMO_HOST, describeProcesses, type ProcessSpecs } from './processes/process-specs.js';
import { StopStack } from './processes/stop-stack.js';
import { SupervisedProcess } from './processes/supervised-process.js';
import { messageOf } from './thrown.js';

/** How long the ports of a killed run may stay taken: its gateway lets open streams finish first. */
const KILLED_RUN_ENDS_MS = 100_000;
const LOG_CHECK_MS = 60_000;
/** Whose builds are followed. */
const WORKSPACES = [
  ...['gateway', 'billing', 'admin'].map((name) => `apps/${name}`),
  ...['contracts', 'ledger', 'openai', 'persistence', 'pricing', 'providers', 'runtime'].map(
    (name) => `libs/${name}`,
  ),
  'embedded',
];

/** An installation that is being started or runs. */
export class Launch {
  private readonly stopped = new AbortController();
  private readonly stack = new StopStack((message) => this.report(message));
  private readonly processes: SupervisedProcess[] = [];

  constructor(
    private readonly print: (text: string) => void,
    private readonly options: LaunchOptions = {},
  ) {}

  /** Starts everything and prints where it is. Rejects if it cannot, or if it is stopped meanwhile. */
  async start(): Promise<void> {
    const installation = await this.prepare();
    const { config, dataDir, logDir, secrets } = installation;
    const masterKey = config.MASTER_KEY ?? secrets.masterKey;
    const database = await this.openDatabase(installation, MasterKey.parse(masterKey));
    const specs = describeProcesses({
      config,
      dataDir,
      logDir,
      databaseUrl: database.appUrl,
      masterKey,
      report: this.report,
    });
    this.watchLogs(logDir);
    await this.startProcesses(specs);
    const result = await setUp({
      databaseUrl: database.appUrl,
      masterKey: MasterKey.parse(masterKey),
      adminOrigin: specs.admin.origin,
      gatewayOrigin: specs.gateway.origin,
      demoUpstreamUrl: specs.demoUpstream === null ? null : `${specs.demoUpstream.origin}/v1`,
      openai: readOpenAi(config),
      isFirstRun: !isFirstRunDone(dataDir),
      report: this.report,
    });
    this.stopped.signal.throwIfAborted();
    this.print(
      banner(
        {
          specs,
          dataDir,
          logDir,
          host: config.HOST,
          postgresPort: database.port,
          openaiBaseUrl: config.OPENAI_BASE_URL,
        },
        result,
      ),
    );
    if (result.firstRun !== null) recordFirstRun(dataDir);
    if (this.options.followsBuilds === true) this.followBuilds();
  }

  /** Stops everything in order: gateway, billing, admin, demo upstream, Postgres. */
  async stop(): Promise<void> {
    this.stopped.abort();
    await this.stack.stopAll();
  }

  /** Ends a start that waits for something, so that `stop` finds all that was started. */
  interrupt(): void {
    this.stopped.abort();
  }

  /** Waits for nobody: the processes are killed. What they had not written down is settled by later runs. */
  kill(): void {
    for (const child of this.processes) child.kill();
  }

  /** Takes the data folder and checks what can be checked before anything runs. */
  private async prepare(): Promise<Installation> {
    const config = readConfig();
    const dataDir = dataDirOf(config, this.options.dataFolder);
    const logDir = join(dataDir, 'logs');
    const folders = new MadeFolders();
    // Last of all, when the lock in it is gone: a start that is refused leaves nothing behind.
    this.stack.push('data folder', () => folders.removeEmpty());
    folders.make(dataDir);
    folders.make(logDir);
    const lock = DataLock.acquire(dataDir);
    this.stack.push('lock', () => lock.release());
    assertNoUnfinishedRestore(dataDir);
    await assertPortsUsable({
      ports: wantedPorts(config),
      waitMs: lock.tookOver ? KILLED_RUN_ENDS_MS : 0,
      onWait: () => this.report('Waiting for the processes of the last run to end.'),
      signal: this.stopped.signal,
    });
    return { config, dataDir, logDir, secrets: loadSecrets(dataDir) };
  }

  private async openDatabase(
    installation: Installation,
    masterKey: MasterKey,
  ): Promise<{ appUrl: string; port: number | null }> {
    const { config, dataDir, logDir, secrets } = installation;
    const { DATABASE_URL: ownUrl, DATABASE_OWNER_URL: ownerUrl } = config;
    if (ownUrl !== undefined) {
      await prepareOwnDatabase({ appUrl: ownUrl, ownerUrl, masterKey });
      this.stopped.signal.throwIfAborted();
      return { appUrl: ownUrl, port: null };
    }
    this.report('Starting Postgres.');
    const database = await EmbeddedDatabase.start({
      dataDir,
      secrets,
      logFile: join(logDir, 'postgres.log'),
      port: config.POSTGRES_PORT,
      report: this.report,
    });
    this.stack.push('Postgres', () => database.stop());
    if (database.adopted) this.report('Took over the Postgres of the last run.');
    this.stopped.signal.throwIfAborted();
    await prepareSchema({ ownerUrl: database.ownerUrl, appUrl: database.appUrl, masterKey });
    this.stopped.signal.throwIfAborted();
    return { appUrl: database.appUrl, port: database.port };
  }

  private async startProcesses(specs: ProcessSpecs): Promise<void> {
    const demo = specs.demoUpstream;
    this.report(`Starting ${demo === null ? '' : 'the demo upstream, '}admin, billing and the gateway.`);
    // Stopped in the opposite order: nobody is stopped before those who need it.
    for (const spec of [...(demo === null ? [] : [demo]), specs.admin, specs.billing, specs.gateway]) {
      const supervised = new SupervisedProcess(spec);
      this.processes.push(supervised);
      this.stack.push(spec.name, () => supervised.stop());
      supervised.start();
    }
    await Promise.all(this.processes.map((supervised) => supervised.waitUntilReady(this.stopped.signal)));
  }

  /** Keeps the logs of a run that goes on for months within bounds. */
  private watchLogs(logDir: string): void {
    const timer = setInterval(() => {
      for (const name of readdirSync(logDir)) if (name.endsWith('.log')) boundLog(join(logDir, name));
    }, LOG_CHECK_MS);
    this.stack.push('log files', () => clearInterval(timer));
  }

  /** Starts anew what the compiler built again. */
  private followBuilds(): void {
    const stop = watchBuilds({
      root: CHECKOUT,
      workspaces: WORKSPACES,
      onBuild: (rebuilt) => {
        if (rebuilt.has('launcher')) {
          this.report('The launcher or a migration was built again: stop with Ctrl-C, and start again.');
        }
        for (const supervised of this.processes) {
          // Its name is one of those that can be rebuilt, or it is not in the set.
          if ([...rebuilt].some((name) => name === supervised.name)) void this.replace(supervised);
        }
      },
    });
    this.stack.push('watch', stop);
  }

  private async replace(supervised: SupervisedProcess): Promise<void> {
    const startedMs = performance.now();
    try {
      await supervised.replace();
      await supervised.waitUntilReady(this.stopped.signal);
      const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
      this.report(`${supervised.name}: built again, ready after ${seconds} s.`);
    } catch (error) {
      if (!this.stopped.signal.aborted) this.report(messageOf(error));
    }
  }

  private readonly report = (message: string): void => this.print(`${message}\n`);
}

/** How a launch for developers differs. */
export interface LaunchOptions {
  /** Name of the data folder in the checkout where DATA_DIR names none. */
  readonly dataFolder?: string;
  /** Processes whose code was built again are started anew. */
  readonly followsBuilds?: boolean;
}

interface Installation {
  readonly config: LauncherConfig;
  readonly dataDir: string;
  readonly logDir: string;
  readonly secrets: Secrets;
}

function readOpenAi(config: LauncherConfig): { baseUrl: string; apiKey: string } | null {
  const { OPENAI_API_KEY: apiKey, OPENAI_BASE_URL: baseUrl } = config;
  return apiKey === undefined ? null : { apiKey, baseUrl };
}

/** @throws ConfigError */
function readConfig(): LauncherConfig {
  const config = loadConfig(launcherConfigSchema);
  if (config.DATABASE_OWNER_URL !== undefined && config.DATABASE_URL === undefined) {
    throw new ConfigError(
      'DATABASE_OWNER_URL is set, but not DATABASE_URL: for a Postgres of your own set both, for the embedded one neither.',
    );
  }
  return config;
}

function wantedPorts(config: LauncherConfig): WantedPort[] {
  const { HOST: host } = config;
  const demo = { owner: 'demo upstream', variable: 'DEMO_UPSTREAM_PORT', port: config.DEMO_UPSTREAM_PORT };
  return [
    { owner: 'gateway', variable: 'GATEWAY_PORT', port: config.GATEWAY_PORT, host },
    { owner: 'admin', variable: 'ADMIN_PORT', port: config.ADMIN_PORT, host },
    { owner: 'billing', variable: 'BILLING_PORT', port: config.BILLING_PORT, host },
    ...(config.DEMO_UPSTREAM === 'on' ? [{ ...demo, host: DEMO_HOST }] : []),
  ];
}
