import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { LaunchError } from '../launch-error.js';
import { codeOf } from '../thrown.js';

// What a base backup leaves out: "Making a Base Backup Using the Low Level API" in the Postgres manual, and
// src/backend/backup/basebackup.c of Postgres 18.
const EMPTIED_FOLDERS = new Set([
  'pg_dynshmem',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
  'pg_wal',
]);
const LEFT_OUT = /^(postmaster\.(pid|opts)|backup_label(\.old)?|tablespace_map(\.old)?|backup_manifest)$/;
const LEFT_OUT_PREFIX = /^(pgsql_tmp|pg_internal\.init|postgresql\.auto\.conf\.tmp|current_logfiles\.tmp)/;

/** Copied last, and by itself: where recovery begins to read. */
export const CONTROL_FILE = 'global/pg_control';

/** One thing of a cluster that belongs into a backup; the path is relative to the cluster's folder. */
export interface ClusterPart {
  readonly path: string;
  readonly kind: 'folder' | 'file';
}

/**
 * All folders and files of a cluster that belong into a backup but pg_control and the write-ahead log. What vanishes
 * while this looks is left out.
 * @throws LaunchError if a part of the cluster lies outside its folder.
 */
export async function* clusterParts(dataDir: string, folder = ''): AsyncGenerator<ClusterPart> {
  for (const name of (await listFolder(join(dataDir, folder))).sort()) {
    const path = folder === '' ? name : `${folder}/${name}`;
    if (LEFT_OUT_PREFIX.test(name) || path === CONTROL_FILE) continue;
    if (folder === '' && LEFT_OUT.test(name)) continue;
    const found = await lstat(join(dataDir, path)).catch(ifGone(null));
    if (found === null) continue;
    if (found.isSymbolicLink()) {
      throw new LaunchError(`${join(dataDir, path)} is a link: a cluster with tablespaces is not backed up.`);
    }
    if (!found.isDirectory()) {
      yield { path, kind: 'file' };
      continue;
    }
    yield { path, kind: 'folder' };
    if (!EMPTIED_FOLDERS.has(path)) yield* clusterParts(dataDir, path);
  }
}

async function listFolder(path: string): Promise<string[]> {
  return readdir(path).catch(ifGone<string[]>([]));
}

function ifGone<Value>(value: Value): (error: unknown) => Value {
  return (error) => {
    if (codeOf(error) === 'ENOENT') return value;
    throw error;
  };
}
