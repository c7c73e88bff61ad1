import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loadConfig } from '@tollgate/runtime';
import { connectFakeUpstream, eventually, type FakeUpstream } from '@tollgate/testing';
import { Pool } from 'pg';
import { z } from 'zod';
import { AdminApi } from './admin-api.js';
import {
  containerOf,
  containersOf,
  docker,
  logOf,
  processOf,
  projectName,
  serviceOf,
  type Container,
} from './containers.js';
import type { App, Installation } from './installation.js';
import { LogCanaries, expectNoLeaks, type Log } from './log-canaries.js';

const run = promisify(execFile);

const APPS: readonly App[] = ['gateway', 'billing', 'admin'];
const PORTS: Readonly<Record<App, number>> = { gateway: 8080, billing: 8082, admin: 8081 };
const UPSTREAM_PORT = 8090;
/** More than the grace period of every service. */
const STOP_TIMEOUT_S = 120;
const READY_TIMEOUT_MS = 120_000;

/** The installation that docker compose runs for all spec files, one after the other; e2e/compose/run.sh starts it. */
export class ComposeInstallation implements Installation {
  readonly gatewayUrl = originOf('proxy', 8080);
  readonly adminUrl = originOf('admin', 8081);
  /** What `migrate` told the operator when this installation was made. */
  readonly firstRun = loadConfig(z.object({ E2E_FIRST_RUN: z.string() })).E2E_FIRST_RUN;
  readonly operatorToken = /Operator token (tgop_\w+)/.exec(this.firstRun)?.[1] ?? '';
  readonly testHost = networkGateway();
  readonly isProxied = true;
  readonly canaries = new LogCanaries();
  private readonly joinedAt = new Date();
  private readonly secrets = readSecrets();

  private constructor() {
    for (const secret of this.secrets.values()) this.canaries.watch(secret);
    this.canaries.watch(new URL(this.databaseUrl()).password);
  }

  /** Takes it over from the spec file before: the models stay, but nothing serves them, and the upstream is as new. */
  static async join(): Promise<ComposeInstallation> {
    const installation = new ComposeInstallation();
    await untilReady(installation.gatewayUrl);
    const admin = installation.admin();
    for (const { id } of await admin.pages('/deployments')) await admin.delete(`/deployments/${id}`);
    await (await installation.startUpstream()).reset();
    return installation;
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
    const url = new URL(this.databaseUrl());
    // Postgres is not published; this machine is on its network all the same.
    url.hostname = addressOf(containerOf('postgres'));
    const pool = new Pool({ connectionString: url.href, max: 2 });
    pool.on('error', () => undefined);
    return pool;
  }

  async startUpstream(): Promise<FakeUpstream> {
    return connectFakeUpstream(originOf('fake-upstream', UPSTREAM_PORT), {
      baseUrl: `http://fake-upstream:${UPSTREAM_PORT}/v1`,
    });
  }

  pidsOf(app: App): number[] {
    return containersOf(app).flatMap(processOf);
  }

  /** Not by `docker kill`, after which Docker leaves a container as it is. */
  kill(app: App): number[] {
    const pids = this.pidsOf(app);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    return pids;
  }

  async stop(): Promise<number> {
    const ids = APPS.flatMap((app) => containersOf(app)).map(({ Id }) => Id);
    await Promise.all(ids.map((id) => run('docker', ['stop', '--time', String(STOP_TIMEOUT_S), id])));
    return Math.max(...APPS.flatMap((app) => containersOf(app)).map(({ State }) => State.ExitCode));
  }

  async resume(): Promise<void> {
    docker('start', ...APPS.flatMap((app) => containersOf(app)).map(({ Id }) => Id));
    await untilReady(this.gatewayUrl);
  }

  async discard(): Promise<void> {
    const leaks = this.canaries.leaksIn(this.logs());
    expectNoLeaks(leaks);
  }

  async audit(): Promise<string> {
    return docker('exec', containerOf('billing').Id, 'node', 'apps/billing/dist/audit.js');
  }

  logs(): Log[] {
    const ours = containersOf().filter((container) => serviceOf(container) !== 'fake-upstream');
    return ours.map((container) => {
      const isMigrate = serviceOf(container) === 'migrate';
      const text = logOf(container, isMigrate ? new Date(0) : this.joinedAt);
      // It tells the operator's token to its operator, once.
      return { name: container.Name, text: isMigrate ? text.replaceAll(this.operatorToken, '') : text };
    });
  }

  private databaseUrl(): string {
    const url = this.secrets.get('database-url');
    if (url === undefined) throw new Error('the secrets have no database URL');
    return url;
  }
}

/** Where a service is published on this machine. */
function originOf(service: string, port: number): string {
  const [published] = containerOf(service).NetworkSettings.Ports[`${port}/tcp`] ?? [];
  if (published === undefined) throw new Error(`${service} does not publish its port ${port}`);
  return `http://127.0.0.1:${published.HostPort}`;
}

/** The address that this machine has on the network of the gateways. */
function networkGateway(): string {
  return docker(
    'network',
    'inspect',
    '--format',
    '{{(index .IPAM.Config 0).Gateway}}',
    `${projectName()}_edge`,
  ).trim();
}

/** The files that `migrate` made, by their names. */
function readSecrets(): Map<string, string> {
  const secrets = new Map<string, string>();
  for (const volume of ['secrets', 'owner-secrets']) {
    const path = docker(
      'volume',
      'inspect',
      '--format',
      '{{.Mountpoint}}',
      `${projectName()}_${volume}`,
    ).trim();
    for (const name of readdirSync(path)) secrets.set(name, readFileSync(join(path, name), 'utf8').trim());
  }
  return secrets;
}

/** Asks each process itself: Docker looks every five seconds only. */
async function untilReady(gatewayUrl: string): Promise<void> {
  const own = APPS.flatMap((app) =>
    containersOf(app).map((container) => `${addressOf(container)}:${PORTS[app]}`),
  );
  for (const origin of [...own.map((address) => `http://${address}`), gatewayUrl]) {
    await eventually(async () => {
      const { ok, status } = await fetch(`${origin}/health/ready`);
      if (!ok) throw new Error(`${origin} is not ready: ${status}`);
    }, READY_TIMEOUT_MS);
  }
}

/** The address of a container on one of its networks, each of which this machine is on too. */
function addressOf({ Name, NetworkSettings }: Container): string {
  const [network] = Object.values(NetworkSettings.Networks);
  if (network === undefined) throw new Error(`${Name} is on no network`);
  return network.IPAddress;
}
