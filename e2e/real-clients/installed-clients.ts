import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { inheritedEnvironment } from '@tollgate/runtime';

const CLIENTS = resolve(__dirname, '../clients');
const INSTALL_TIMEOUT_MS = 300_000;
const INSTALLS_AT_ONCE = 2;
/** The folder that brings a newer Node for the clients that do not run on the one we run on. */
const NEWER_NODE = 'node-24';

/** Installs the packages of these clients, and the newer Node, as their lockfiles say, unless that was done before. */
export async function installClients(
  clients: readonly { readonly folder: string }[],
  node: { readonly folder: string | null },
): Promise<void> {
  const folders = [...clients, node].flatMap(({ folder }) => folder ?? []);
  const missing = [...new Set(folders)].filter((folder) => !isInstalled(folder));
  const lane = async (): Promise<void> => {
    for (let folder = missing.shift(); folder !== undefined; folder = missing.shift()) await install(folder);
  };
  await Promise.all(Array.from({ length: INSTALLS_AT_ONCE }, lane));
}

/** Where a Node from version 22 on is: the one we run on, or the one in the folder to install. */
export function newerNode(): { program: string; folder: string | null } {
  const [major = 0] = process.versions.node.split('.').map(Number);
  if (major >= 22) return { program: process.execPath, folder: null };
  return { program: join(CLIENTS, NEWER_NODE, 'node_modules/.bin/node'), folder: NEWER_NODE };
}

/** The version of a package that a client folder is pinned to. */
export function pinnedVersion(folder: string, packageName: string): string {
  const manifest: { dependencies: Record<string, string> } = JSON.parse(
    readFileSync(join(CLIENTS, folder, 'package.json'), 'utf8'),
  );
  const version = manifest.dependencies[packageName];
  if (version === undefined || !/^\d+\.\d+\.\d+$/.test(version)) {
    throw new Error(`${folder} does not pin ${packageName}`);
  }
  return version;
}

/** npm writes its own lockfile into node_modules when it is done. */
function isInstalled(folder: string): boolean {
  const done = statSync(join(CLIENTS, folder, 'node_modules/.package-lock.json'), { throwIfNoEntry: false });
  return (done?.mtimeMs ?? 0) > statSync(join(CLIENTS, folder, 'package-lock.json')).mtimeMs;
}

async function install(folder: string): Promise<void> {
  const cwd = join(CLIENTS, folder);
  const logPath = join(cwd, 'install.log');
  const log = openSync(logPath, 'w');
  try {
    const child = spawn('npm', ['ci', '--no-audit', '--no-fund'], {
      cwd,
      env: inheritedEnvironment(),
      stdio: ['ignore', log, log],
      timeout: INSTALL_TIMEOUT_MS,
    });
    const [code] = await once(child, 'exit');
    if (code !== 0) {
      throw new Error(`npm ci in ${folder} ended with ${code}:\n${readFileSync(logPath, 'utf8')}`);
    }
  } finally {
    closeSync(log);
  }
}
