import { existsSync, realpathSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, DatabaseError } from 'pg';
import { locatePostgresBinaries, type PostgresBinaries } from './binaries.js';
import { findFreePort } from './free-port.js';
import { initialiseDataDir } from './initialise.js';
import { LogFile } from '../logs/log-file.js';
import { PostgresError } from './postgres-error.js';
import {
  clearPostmasterPid,
  isPostmasterOf,
  readPostmasterPid,
  type PostmasterPid,
} from './postmaster-pid.js';
import { AdoptedPostmaster, SpawnedPostmaster, type Postmaster } from './postmaster.js';
import { chooseIdentity, type ProcessIdentity } from './process-identity.js';

/** How to run the embedded Postgres. */
export interface PostgresServerOptions {
  /** Absolute folder of the database cluster; made when it is not there. */
  readonly dataDir: string;
  /** Password of the superuser. It is set when the cluster is made and not changed later. */
  readonly password: string;
  /** Name of the superuser. */
  readonly user?: string;
  /** TCP port on 127.0.0.1; 0 or nothing takes a free one. */
  readonly port?: number;
  /** Where Postgres writes its messages. */
  readonly logFile?: string;
  /** Server settings such as `{ fsync: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** False skips flushing a fresh cluster to disk: for throw-away servers of tests. */
  readonly durable?: boolean;
  /** The ways to give Postgres a user that it accepts, in order; found out by itself if not given. */
  readonly identities?: readonly ProcessIdentity[];
  /** The programs to run; found by itself if not given. */
  readonly binaries?: PostgresBinaries;
  /** How long a start may take, crash recovery included. */
  readonly startTimeoutMs?: number;
}

/** A Postgres that accepts connections on 127.0.0.1. */
export interface PostgresServer {
  readonly port: number;
  readonly pid: number;
  /** True if it was already running on this data folder and was taken over. */
  readonly adopted: boolean;
  /** The connection URL of the superuser for a database. */
  url(database: string): string;
  /** Resolves once the server is gone, whoever ended it. */
  readonly exited: Promise<void>;
  /** Ends every session, writes everything to disk and stops (a fast shutdown). May be called twice. */
  stop(): Promise<void>;
}

const POLL_MS = 20;
const CONNECT_TIMEOUT_MS = 2_000;
const START_TIMEOUT_MS = 120_000;
const START_ATTEMPTS_MAX = 10;
const RETRY_MS = 500;

/**
 * Starts Postgres on a data folder, or takes over the one that already runs on it. The server is a process of its own
 * session: Ctrl-C in a terminal does not reach it, and it outlives a killed parent.
 * @throws PostgresError
 */
export async function startPostgresServer(options: PostgresServerOptions): Promise<PostgresServer> {
  const user = options.user ?? 'postgres';
  const url = (port: number, database: string): string =>
    `postgresql://${encodeURIComponent(user)}:${encodeURIComponent(options.password)}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
  const deadlineMs = Date.now() + (options.startTimeoutMs ?? START_TIMEOUT_MS);
  const running = await findRunning({ dataDir: options.dataDir, deadlineMs, url });
  const started = running ?? (await startFresh({ ...options, user }, deadlineMs));
  const { postmaster, port } = started;
  return {
    port,
    pid: postmaster.pid,
    adopted: running !== null,
    exited: postmaster.exited,
    url: (database) => url(port, database),
    stop: () => postmaster.stop(),
  };
}

/** Stops the Postgres that a killed process left behind on a data folder, if there is one. */
export async function stopAbandonedPostgres(dataDir: string): Promise<void> {
  if (!existsSync(dataDir)) return;
  const folder = realpathSync(dataDir);
  const found = readPostmasterPid(folder);
  if (found === null || !isPostmasterOf(found.pid, folder)) return;
  await new AdoptedPostmaster(found.pid, folder).stop();
}

interface Running {
  readonly postmaster: Postmaster;
  readonly port: number;
}

/** The Postgres that already runs on the data folder. A stale postmaster.pid is cleared; one that stops is waited for. */
async function findRunning(search: {
  dataDir: string;
  deadlineMs: number;
  url: (port: number, database: string) => string;
}): Promise<Running | null> {
  const { dataDir, deadlineMs, url } = search;
  if (!existsSync(dataDir)) return null;
  const folder = realpathSync(dataDir);
  for (;;) {
    const found = readPostmasterPid(folder);
    if (found === null || !isPostmasterOf(found.pid, folder)) {
      clearPostmasterPid(folder);
      return null;
    }
    // Asked, because one that was killed a moment ago still looks alive.
    if (found.status === 'ready' && (await answers(url(found.port, 'postgres')))) {
      return { postmaster: new AdoptedPostmaster(found.pid, folder), port: found.port };
    }
    if (Date.now() > deadlineMs) {
      throw new PostgresError(
        `Another Postgres (process ${found.pid}) holds the data folder ${dataDir} and is ${found.status === 'ready' ? 'not answering' : found.status || 'not ready'}. Stop it and start again.`,
      );
    }
    await delay(POLL_MS);
  }
}

/** Whether a server takes a query. @throws PostgresError if it refuses the password. */
async function answers(connectionString: string): Promise<boolean> {
  const client = new Client({ connectionString, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } catch (error) {
    const refused = error instanceof DatabaseError && error.code?.startsWith('28');
    if (refused) {
      throw new PostgresError('The Postgres that already runs on the data folder has another password.', {
        cause: error,
      });
    }
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

type StartOptions = PostgresServerOptions & { readonly user: string };

async function startFresh(options: StartOptions, deadlineMs: number): Promise<Running> {
  const { dataDir, password, user, durable = true } = options;
  const binaries = options.binaries ?? locatePostgresBinaries();
  const identity = chooseIdentity({ program: binaries.postgres, dataDir, candidates: options.identities });
  await initialiseDataDir({ dataDir, binaries, identity, user, password, durable });
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port || (await findFreePort());
    const outcome = await startOnce({ options, binaries, identity, port, deadlineMs });
    if (typeof outcome !== 'string') return outcome;
    const portTaken = /could not bind|could not create any TCP\/IP sockets/.test(outcome);
    if (portTaken && options.port) {
      throw new PostgresError(`Port ${port} on 127.0.0.1 is taken, the embedded Postgres cannot use it.`);
    }
    // The processes of a Postgres that was killed need a moment to notice.
    const stillEnding = outcome.includes('pre-existing shared memory block');
    if (!(portTaken || stillEnding) || attempt === START_ATTEMPTS_MAX) {
      throw new PostgresError(`Postgres did not start on ${dataDir}:\n${outcome}`);
    }
    await delay(RETRY_MS);
  }
}

/** One attempt: the running server, or what Postgres said before it ended. */
async function startOnce(start: {
  options: StartOptions;
  binaries: PostgresBinaries;
  identity: ProcessIdentity;
  port: number;
  deadlineMs: number;
}): Promise<Running | string> {
  const { options, binaries, identity, port, deadlineMs } = start;
  const dataDir = realpathSync(options.dataDir);
  const log = LogFile.open(options.logFile ?? `${dataDir}.log`);
  try {
    const postmaster = SpawnedPostmaster.spawn({
      binaries,
      identity,
      dataDir,
      port,
      settings: options.settings ?? {},
      log,
    });
    for (;;) {
      const found: PostmasterPid | null = readPostmasterPid(dataDir);
      if (found !== null && found.pid === postmaster.pid && found.status === 'ready') {
        return { postmaster, port };
      }
      if (postmaster.hasExited) return log.read() || 'it ended without a message';
      if (Date.now() > deadlineMs) {
        await postmaster.stop();
        throw new PostgresError(`Postgres did not become ready in time on ${dataDir}:\n${log.read()}`);
      }
      await delay(POLL_MS);
    }
  } finally {
    log.close();
  }
}
