import { spawn } from 'node:child_process';
import {
  existsSync,
  chownSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { PostgresBinaries } from './binaries.js';
import { PostgresError } from './postgres-error.js';
import { handOver, postgresEnvironment, type ProcessIdentity } from './process-identity.js';

const INITDB_TIMEOUT_MS = 180_000;

/**
 * Makes the database cluster if the data folder has none. It is made beside the folder and renamed, so that one killed
 * half-way is never taken for a whole one.
 * @throws PostgresError if the folder holds something else, or a cluster of another major version.
 */
export async function initialiseDataDir(options: {
  dataDir: string;
  binaries: PostgresBinaries;
  identity: ProcessIdentity;
  user: string;
  password: string;
  durable: boolean;
}): Promise<void> {
  const { dataDir, binaries, identity } = options;
  const versionFile = join(dataDir, 'PG_VERSION');
  if (existsSync(versionFile)) {
    const version = readFileSync(versionFile, 'utf8').trim();
    if (version === binaries.majorVersion) return;
    throw new PostgresError(
      `The data folder ${dataDir} was made by Postgres ${version}, this is Postgres ${binaries.majorVersion}. ` +
        'Go back to the release of Tollgate that made it and dump the database there, or choose another DATA_DIR.',
    );
  }
  if (readdirSync(dataDir).length > 0) {
    throw new PostgresError(
      `The data folder ${dataDir} is not empty and holds no Postgres database. Choose another DATA_DIR.`,
    );
  }
  const unfinished = `${dataDir}.unfinished`;
  const passwordFile = `${dataDir}.password`;
  rmSync(unfinished, { recursive: true, force: true });
  rmSync(passwordFile, { force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  writeFileSync(passwordFile, options.password, { mode: 0o600 });
  try {
    if (identity.owner !== null) {
      handOver(unfinished, identity.owner);
      chownSync(passwordFile, identity.owner.uid, identity.owner.gid);
    }
    await runInitdb({ ...options, folder: unfinished, passwordFile });
    renameSync(unfinished, dataDir);
  } finally {
    rmSync(passwordFile, { force: true });
    rmSync(unfinished, { recursive: true, force: true });
  }
}

async function runInitdb(options: {
  folder: string;
  passwordFile: string;
  binaries: PostgresBinaries;
  identity: ProcessIdentity;
  user: string;
  durable: boolean;
}): Promise<void> {
  const { folder, passwordFile, binaries, identity, user, durable } = options;
  const words = [
    ...identity.prefix,
    binaries.initdb,
    ...['-D', folder, '-U', user, '--pwfile', passwordFile, '--auth=scram-sha-256', '--encoding=UTF8'],
    // The built-in provider sorts the same on every machine and needs no locale of the system.
    ...['--no-locale', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-instructions'],
    ...(durable ? [] : ['--no-sync']),
  ];
  const [file = '', ...args] = words;
  const child = spawn(file, args, {
    ...identity.credentials,
    cwd: folder,
    env: postgresEnvironment(),
    detached: true,
    timeout: INITDB_TIMEOUT_MS,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new PostgresError(`initdb failed in ${folder}:\n${output.trim()}`);
}
