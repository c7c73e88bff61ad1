import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inheritedEnvironment } from '@tollgate/runtime';
import type { LauncherConfig } from '../launcher.config.js';
import type { ProcessSpec } from './supervised-process.js';

/** The gateway waits a minute for open streams, then for its usage events to be accepted. */
const GATEWAY_DRAIN_TIMEOUT_MS = 90_000;
const BILLING_DRAIN_TIMEOUT_MS = 60_000;
const ADMIN_DRAIN_TIMEOUT_MS = 65_000;
const DEMO_DRAIN_TIMEOUT_MS = 15_000;

/** It takes any credential, so it never listens on another address, whatever HOST is. */
export const DEMO_HOST = '127.0.0.1';

/** The processes of an installation. */
export interface ProcessSpecs {
  /** Null where it is switched off. */
  readonly demoUpstream: ProcessSpec | null;
  readonly admin: ProcessSpec;
  readonly billing: ProcessSpec;
  readonly gateway: ProcessSpec;
}

/** Describes the processes: what each one runs, and what it gets to know. */
export function describeProcesses(installation: {
  config: LauncherConfig;
  dataDir: string;
  logDir: string;
  databaseUrl: string;
  masterKey: string;
  report: (message: string) => void;
}): ProcessSpecs {
  const { config, dataDir, logDir, databaseUrl, masterKey, report } = installation;
  const specify = (
    name: string,
    port: number,
    rest: Pick<ProcessSpec, 'entry' | 'environment' | 'drainTimeoutMs'> & { host?: string },
  ): ProcessSpec => {
    const { host = config.HOST, entry, environment, drainTimeoutMs } = rest;
    return {
      name,
      report,
      entry,
      drainTimeoutMs,
      logFile: join(logDir, `${name.replaceAll(' ', '-')}.log`),
      origin: originOf(host, port),
      environment: { ...baseEnvironment(), HOST: host, PORT: String(port), ...environment },
    };
  };
  const app = {
    DATABASE_URL: databaseUrl,
    MASTER_KEY: masterKey,
    UPSTREAM_PRIVATE_NETWORKS: config.UPSTREAM_PRIVATE_NETWORKS,
  };
  const demoUpstream = (): ProcessSpec =>
    specify('demo upstream', config.DEMO_UPSTREAM_PORT, {
      host: DEMO_HOST,
      entry: fileURLToPath(new URL('../demo-upstream/main.js', import.meta.url)),
      environment: {},
      drainTimeoutMs: DEMO_DRAIN_TIMEOUT_MS,
    });
  return {
    demoUpstream: config.DEMO_UPSTREAM === 'on' ? demoUpstream() : null,
    admin: specify('admin', config.ADMIN_PORT, {
      entry: appEntry('admin'),
      environment: app,
      drainTimeoutMs: ADMIN_DRAIN_TIMEOUT_MS,
    }),
    billing: specify('billing', config.BILLING_PORT, {
      entry: appEntry('billing'),
      environment: app,
      drainTimeoutMs: BILLING_DRAIN_TIMEOUT_MS,
    }),
    gateway: specify('gateway', config.GATEWAY_PORT, {
      entry: appEntry('gateway'),
      environment: {
        ...app,
        HOLD_STORE: config.HOLD_STORE,
        JOURNAL_DIR: config.JOURNAL_DIR ?? join(dataDir, 'journal'),
      },
      drainTimeoutMs: GATEWAY_DRAIN_TIMEOUT_MS,
    }),
  };
}

/** Whether listening there is listening on every address of the machine. */
export function isEveryAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** Where a process is reached from this machine. */
export function originOf(host: string, port: number): string {
  if (isEveryAddress(host)) return `http://127.0.0.1:${port}`;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function appEntry(app: string): string {
  return fileURLToPath(new URL(`../../../apps/${app}/dist/main.js`, import.meta.url));
}

/** What every process inherits: the operator's environment without secrets that only the launcher needs. */
function baseEnvironment(): NodeJS.ProcessEnv {
  const {
    DATABASE_URL: _app,
    DATABASE_OWNER_URL: _owner,
    MASTER_KEY: _key,
    OPENAI_API_KEY: _openai,
    ...rest
  } = inheritedEnvironment();
  return rest;
}
