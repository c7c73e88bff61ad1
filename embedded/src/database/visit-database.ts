import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DataLock } from '../data-folder/data-lock.js';
import { loadSecrets, type Secrets } from '../data-folder/secrets.js';
import { LaunchError } from '../launch-error.js';
import { isPostmasterOf, readPostmasterPid } from '../postgres/postmaster-pid.js';
import { applicationUrl, ownerUrlOf, startInstallationPostgres } from './embedded-database.js';

/** An installation's database for the time of a visit. */
export interface InstallationDatabase {
  readonly ownerUrl: string;
  readonly appUrl: string;
  readonly secrets: Secrets;
}

/**
 * Lets a task use the database of an installation. Where the installation does not run, its Postgres is started for the
 * time of the task alone, and no `npm start` comes between.
 * @throws LaunchError if there is no installation, or one that is just starting or stopping.
 */
export async function visitDatabase<Result>(
  dataDir: string,
  task: (database: InstallationDatabase) => Promise<Result>,
): Promise<Result> {
  const cluster = join(dataDir, 'postgres');
  if (!existsSync(join(cluster, 'PG_VERSION'))) {
    throw new LaunchError(`There is no installation in ${dataDir}. Say where it is with DATA_DIR.`);
  }
  const lock = isRunning(cluster) ? null : lockStopped(dataDir);
  try {
    const secrets = loadSecrets(dataDir);
    const logDir = join(dataDir, 'logs');
    mkdirSync(logDir, { recursive: true, mode: 0o711 });
    const server = await startInstallationPostgres({
      dataDir,
      secrets,
      logFile: join(logDir, 'postgres.log'),
    });
    try {
      const ownerUrl = ownerUrlOf(server);
      return await task({ ownerUrl, appUrl: applicationUrl(ownerUrl, secrets), secrets });
    } finally {
      if (!server.adopted) await server.stop();
    }
  } finally {
    lock?.release();
  }
}

function isRunning(cluster: string): boolean {
  const found = readPostmasterPid(cluster);
  return found !== null && isPostmasterOf(found.pid, cluster);
}

function lockStopped(dataDir: string): DataLock {
  try {
    return DataLock.acquire(dataDir);
  } catch (error) {
    if (!(error instanceof LaunchError)) throw error;
    throw new LaunchError(`Tollgate is just starting or stopping on ${dataDir}. Try again in a moment.`);
  }
}
