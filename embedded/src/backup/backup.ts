import { createWriteStream, existsSync, linkSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { z } from 'zod';
import type { InstallationDatabase } from '../database/visit-database.js';
import { LaunchError } from '../launch-error.js';
import { locatePostgresBinaries } from '../postgres/binaries.js';
import { codeOf } from '../thrown.js';
import { Archive } from './archive.js';
import { BackupSession, serverLost } from './backup-session.js';
import { CONTROL_FILE, clusterParts } from './cluster-files.js';
import { MANIFEST_FILE, MANIFEST_FORMAT, thisMachine, type Manifest } from './manifest.js';

/** The files beside the cluster that an installation cannot do without. */
export const KEPT_FILES = ['secrets.json', 'first-run.json'] as const;

/** A running gateway needs the processor more than the archive needs to be small. */
const GZIP_LEVEL = 1;
const CONTROL_READS_MAX = 50;
const CONTROL_RETRY_MS = 20;

/** What a backup holds. */
export interface BackupSummary {
  readonly completedAt: string;
  readonly fileCount: number;
  readonly contentBytes: number;
}

/** @throws LaunchError if a backup cannot be written to this place. */
export function assertBackupPlace(file: string, dataDir: string): void {
  if (existsSync(file)) throw new LaunchError(`${file} exists already. Give the backup another name.`);
  if (!existsSync(dirname(file))) {
    throw new LaunchError(`There is no folder ${dirname(file)}. Make it first.`);
  }
  if (`${file}${sep}`.startsWith(`${dataDir}${sep}`)) {
    throw new LaunchError(
      `${file} is in the data folder: it would be lost with it. Write the backup elsewhere.`,
    );
  }
}

/**
 * Writes a backup of a running installation: the cluster's files with the log that makes them one moment, and the
 * secrets. The file appears whole or not at all, readable by its owner alone.
 * @throws LaunchError
 */
export async function writeBackup(options: {
  file: string;
  dataDir: string;
  database: InstallationDatabase;
  signal: AbortSignal;
}): Promise<BackupSummary> {
  const { file, dataDir, database, signal } = options;
  assertBackupPlace(file, dataDir);
  const unfinished = `${file}.${process.pid}.unfinished`;
  const archive = new Archive();
  const session = await BackupSession.start(database.ownerUrl);
  try {
    const target = createWriteStream(unfinished, { flags: 'wx', mode: 0o600 });
    await pipeline(contentOf({ dataDir, archive, session }), createGzip({ level: GZIP_LEVEL }), target, {
      signal,
    });
    await flush(unfinished);
    publish(unfinished, file);
    const contentBytes = archive.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    return { completedAt: session.completedAt ?? '', fileCount: archive.files.length, contentBytes };
  } catch (error) {
    if (signal.aborted) throw new LaunchError('The backup was interrupted. Nothing was written.');
    if (session.isLost) throw serverLost(error);
    throw error;
  } finally {
    rmSync(unfinished, { force: true });
    await session.end();
  }
}

async function* contentOf(options: {
  dataDir: string;
  archive: Archive;
  session: BackupSession;
}): AsyncGenerator<Buffer> {
  const { dataDir, archive, session } = options;
  const cluster = join(dataDir, 'postgres');
  for (const name of KEPT_FILES) yield* archive.file(name, join(dataDir, name), 'may vanish');
  yield* archive.folder('postgres');
  for await (const { path, kind } of clusterParts(cluster)) {
    if (kind === 'folder') yield* archive.folder(`postgres/${path}`);
    else yield* archive.file(`postgres/${path}`, join(cluster, path), 'may vanish');
  }
  yield* archive.bytes(`postgres/${CONTROL_FILE}`, await readControlFile(join(cluster, CONTROL_FILE)));
  const migrations = await session.migrations();
  const { label, walFiles } = await session.stop();
  yield* archive.bytes('postgres/backup_label', Buffer.from(label));
  for (const name of walFiles) {
    yield* archive.file(`postgres/pg_wal/${name}`, join(cluster, 'pg_wal', name), 'required');
  }
  const manifest: Manifest = {
    format: MANIFEST_FORMAT,
    tollgate: readVersion(),
    completedAt: session.completedAt ?? '',
    postgresMajor: locatePostgresBinaries().majorVersion,
    machine: thisMachine(),
    migrations,
    files: [...archive.files],
  };
  yield* archive.bytes(MANIFEST_FILE, Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`));
  yield* archive.end();
}

/** Postgres rewrites this file in place: two equal reads in a row are no half-written one. */
async function readControlFile(path: string): Promise<Buffer> {
  let last = await readFile(path);
  for (let reads = 1; reads < CONTROL_READS_MAX; reads += 1) {
    const next = await readFile(path);
    if (next.equals(last)) return next;
    last = next;
    await delay(CONTROL_RETRY_MS);
  }
  throw new LaunchError(`${path} changes all the time. Try again.`);
}

async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Gives the finished file its name, never over another one. */
function publish(unfinished: string, file: string): void {
  try {
    linkSync(unfinished, file);
  } catch (error) {
    if (existsSync(file)) throw new LaunchError(`${file} exists already. Give the backup another name.`);
    // Not every file system has links.
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(codeOf(error) ?? '')) throw error;
    renameSync(unfinished, file);
  }
}

/** This file is two folders below the package's root in the source as in the build. */
function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}
