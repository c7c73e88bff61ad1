import { createHash } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { SchemaVersionError, refuseNewerSchema } from '@tollgate/persistence';
import { Client } from 'pg';
import { extract } from 'tar';
import { z } from 'zod';
import { DataLock } from '../data-folder/data-lock.js';
import { MadeFolders } from '../data-folder/made-folders.js';
import { restoreFolder } from '../data-folder/restore-record.js';
import { loadSecrets } from '../data-folder/secrets.js';
import { ownerUrlOf, startInstallationPostgres } from '../database/embedded-database.js';
import { LaunchError } from '../launch-error.js';
import { locatePostgresBinaries } from '../postgres/binaries.js';
import { KEPT_FILES } from './backup.js';
import { MANIFEST_FILE, MANIFEST_FORMAT, manifestSchema, thisMachine, type Manifest } from './manifest.js';

/** What a restore brought back. */
export interface RestoreSummary {
  readonly completedAt: string;
  readonly accountCount: number;
  readonly transferCount: number;
  /** Rows of the view `ledger_violation`: 0 as long as the books are right. */
  readonly violationCount: number;
}

/**
 * Restores a backup into an empty data folder: unpacks beside, verifies every checksum, moves, and lets Postgres recover
 * once. One that is cut off can be repeated; until then nothing starts there.
 * @throws LaunchError that says what is wrong with the folder or the archive.
 */
export async function restoreBackup(options: { file: string; dataDir: string }): Promise<RestoreSummary> {
  const { file, dataDir } = options;
  if (!existsSync(file)) throw new LaunchError(`There is no file ${file}.`);
  const made = new MadeFolders();
  made.make(dataDir);
  const lock = DataLock.acquire(dataDir);
  try {
    const folder = restoreFolder(dataDir);
    clear(dataDir, folder);
    mkdirSync(folder, { mode: 0o700 });
    let manifest: Manifest;
    try {
      await unpack(file, folder);
      manifest = await verify(file, folder);
    } catch (error) {
      // Nothing of it was used yet: the folder is as empty as before.
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
    for (const name of KEPT_FILES) {
      if (existsSync(join(folder, name))) renameSync(join(folder, name), join(dataDir, name));
    }
    renameSync(join(folder, 'postgres'), join(dataDir, 'postgres'));
    const counts = await recover(dataDir);
    rmSync(folder, { recursive: true, force: true });
    return { completedAt: manifest.completedAt, ...counts };
  } finally {
    lock.release();
    // After a restore it is not empty any more; after one that was refused it is as it was, there or not.
    made.removeEmpty();
  }
}

/** Removes what a cut-off restore left. It began with an empty folder, so all of that is its own. */
function clear(dataDir: string, folder: string): void {
  const found = readdirSync(dataDir).filter((name) => name !== 'launcher.lock');
  if (found.length === 0) return;
  if (!existsSync(folder)) {
    throw new LaunchError(
      `${dataDir} is not empty: a restore never overwrites. ` +
        'Move the folder away, or name another one with DATA_DIR.',
    );
  }
  for (const name of found) rmSync(join(dataDir, name), { recursive: true, force: true });
}

async function unpack(file: string, folder: string): Promise<void> {
  try {
    await pipeline(
      createReadStream(file),
      extract({
        cwd: folder,
        strict: true,
        preserveOwner: false,
        filter: (_, entry) => 'type' in entry && (entry.type === 'File' || entry.type === 'Directory'),
      }),
    );
  } catch (cause) {
    throw new LaunchError(`${file} is damaged or no backup: it cannot be unpacked. Nothing was restored.`, {
      cause,
    });
  }
}

/** @throws LaunchError unless the unpacked files are those of the manifest, and this build can run them. */
async function verify(file: string, folder: string): Promise<Manifest> {
  const manifest = readManifest(file, folder);
  const wanted = new Map(manifest.files.map((entry) => [entry.path, entry]));
  for (const path of await filesIn(folder)) {
    if (path === MANIFEST_FILE) continue;
    const entry = wanted.get(path);
    const { size } = await stat(join(folder, path));
    if (entry?.sizeBytes !== size || entry.sha256 !== (await checksum(join(folder, path)))) {
      throw new LaunchError(`${file} is damaged: ${path} is not what was backed up. Nothing was restored.`);
    }
    wanted.delete(path);
  }
  const [missing] = wanted.keys();
  if (missing !== undefined) {
    throw new LaunchError(`${file} is damaged: ${missing} is missing. Nothing was restored.`);
  }
  return manifest;
}

function readManifest(file: string, folder: string): Manifest {
  const path = join(folder, MANIFEST_FILE);
  if (!existsSync(path)) {
    throw new LaunchError(`${file} is cut off or no backup: it has no manifest. Nothing was restored.`);
  }
  const content: unknown = JSON.parse(readFileSync(path, 'utf8'));
  const { format, tollgate } = z.object({ format: z.number(), tollgate: z.string() }).parse(content);
  if (format > MANIFEST_FORMAT) throw new LaunchError(newer(file, tollgate));
  const manifest = manifestSchema.parse(content);
  try {
    refuseNewerSchema(new Set(manifest.migrations));
  } catch (cause) {
    if (!(cause instanceof SchemaVersionError)) throw cause;
    throw new LaunchError(newer(file, tollgate), { cause });
  }
  const { majorVersion } = locatePostgresBinaries();
  if (manifest.postgresMajor !== majorVersion) {
    throw new LaunchError(
      `${file} is of Postgres ${manifest.postgresMajor}, this is Postgres ${majorVersion}. ` +
        `Restore it with Tollgate ${tollgate}. Nothing was restored.`,
    );
  }
  if (manifest.machine !== thisMachine()) {
    throw new LaunchError(
      `${file} was made on ${manifest.machine}, this is ${thisMachine()}: a backup fits its kind of machine alone. ` +
        'Nothing was restored.',
    );
  }
  return manifest;
}

function newer(file: string, version: string): string {
  return `${file} was made by a newer version of Tollgate (${version}). Restore it with that one. Nothing was restored.`;
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll(sep, '/'));
}

async function checksum(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Lets Postgres replay the log of the backup, and looks at the books. */
async function recover(dataDir: string): Promise<Omit<RestoreSummary, 'completedAt'>> {
  mkdirSync(join(dataDir, 'logs'), { mode: 0o711 });
  const server = await startInstallationPostgres({
    dataDir,
    logFile: join(dataDir, 'logs', 'postgres.log'),
    secrets: loadSecrets(dataDir),
  });
  const client = new Client({ connectionString: ownerUrlOf(server) });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query(
      `SELECT (SELECT count(*) FROM tollgate.account)::int AS "accountCount",
              (SELECT count(*) FROM tollgate.transfer)::int AS "transferCount",
              (SELECT count(*) FROM tollgate.ledger_violation)::int AS "violationCount"`,
    );
    const count = z.number().int();
    const row = z.object({ accountCount: count, transferCount: count, violationCount: count });
    return row.parse(rows[0]);
  } finally {
    await client.end().catch(() => undefined);
    await server.stop();
  }
}
