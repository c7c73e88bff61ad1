import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, rename, rm, stat, symlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** The socket in a folder whose listener owns it. */
const SOCKET = 'owner';
/** Begins the names of folders that are not complete yet. */
const UNFINISHED = '.new-';
/** Begins the names, within the folder of a process, of folders that it took over. */
const ADOPTED = 'adopted-';
const SEGMENT = /^\d+\.journal$/;
/** What the kernel takes as the path of a socket, on every system. */
const SOCKET_PATH_BYTES_MAX = 103;
/** An unfinished folder that is older was left behind by a process that died while it began. */
const UNFINISHED_AGE_MAX_MS = 600_000;

/** The journal's folder cannot be used. The message is for whoever configured it. */
export class JournalFolderError extends Error {
  override readonly name = 'JournalFolderError';
}

/** The folder of one process. It is this process's for as long as it lives: the kernel sees to that. */
export interface OwnedFolder {
  readonly path: string;
  /** Gives it up: whoever looks next may adopt it. */
  release(): Promise<void>;
}

/**
 * Makes a folder that no process had before, owned by this one. All of its owners have to run on one kernel: the journal
 * does not belong on a network file system.
 * @throws JournalFolderError if the root cannot be used.
 */
export async function createFolder(root: string): Promise<OwnedFolder> {
  const name = `${Date.now().toString(36)}-${randomBytes(5).toString('hex')}`;
  const unfinished = join(root, UNFINISHED + name);
  const path = join(root, name);
  let owner: Server;
  try {
    await mkdir(unfinished, { recursive: true, mode: 0o700 });
    owner = await bySocketOf(unfinished, listen);
    // From its first moment under this name the folder has its owner.
    await rename(unfinished, path);
    await syncFolder(root);
  } catch (error) {
    throw new JournalFolderError(`the journal cannot be kept in ${root}`, { cause: error });
  }
  return {
    path,
    release: () => new Promise((resolved) => owner.close(() => resolved())),
  };
}

/**
 * Moves every folder under the root that no living process owns into `own`, and answers where they are now. Of several
 * processes that look at the same time exactly one gets each: renaming is atomic.
 */
export async function adoptFolders(root: string, own: OwnedFolder): Promise<string[]> {
  const adopted: string[] = [];
  for (const entry of await readdir(root, { withFileTypes: true })) {
    const path = join(root, entry.name);
    if (!entry.isDirectory() || path === own.path) continue;
    if (entry.name.startsWith(UNFINISHED)) {
      await removeIfAbandoned(path);
      continue;
    }
    if (await hasOwner(path)) continue;
    const target = join(own.path, ADOPTED + entry.name);
    try {
      await rename(path, target);
      adopted.push(target);
    } catch (error) {
      // Somebody else was faster.
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  }
  if (adopted.length > 0) await Promise.all([syncFolder(root), syncFolder(own.path)]);
  return adopted;
}

/** Whether a living process owns the folder, be it stopped or busy. Only a socket that nobody has is proof that none does. */
export function hasOwner(folder: string): Promise<boolean> {
  return bySocketOf(folder, async (path) => {
    const socket = connect(path);
    try {
      return await new Promise<boolean>((answer) => {
        socket.once('connect', () => answer(true));
        socket.once('error', (error) => answer(!['ECONNREFUSED', 'ENOENT'].includes(codeOf(error))));
      });
    } finally {
      socket.destroy();
    }
  });
}

/** The segments of a folder, in the order of their making; with those of folders that its owner had adopted. */
export async function segmentsIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const nested = entries.filter((entry) => entry.isDirectory() && entry.name.startsWith(ADOPTED));
  const own = entries.filter(({ name }) => SEGMENT.test(name)).map(({ name }) => name);
  own.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
  const theirs = await Promise.all(nested.map(({ name }) => segmentsIn(join(folder, name))));
  return [...theirs.flat(), ...own.map((name) => join(folder, name))];
}

/** The path of the nth segment of a folder. */
export function segmentPath(folder: string, number: number): string {
  return join(folder, `${String(number)}.journal`);
}

/** Makes what was created, renamed or removed in a folder survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function listen(path: string): Promise<Server> {
  return new Promise((resolved, rejected) => {
    const server = createServer((asking) => asking.destroy());
    server.unref();
    server.once('error', rejected);
    server.listen(path, () => resolved(server));
  });
}

/** Gives the path of a folder's socket to `use`: by way of a link where it is longer than the kernel takes. */
async function bySocketOf<T>(folder: string, use: (path: string) => Promise<T>): Promise<T> {
  const path = join(folder, SOCKET);
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return use(path);
  const ways = await mkdtemp(join(tmpdir(), 'tollgate-'));
  try {
    const way = join(ways, 'folder');
    await symlink(resolve(folder), way);
    return await use(join(way, SOCKET));
  } finally {
    await rm(ways, { recursive: true, force: true });
  }
}

async function removeIfAbandoned(path: string): Promise<void> {
  const made = await stat(path).catch(() => null);
  if (made === null || Date.now() - made.mtimeMs < UNFINISHED_AGE_MAX_MS) return;
  if (!(await hasOwner(path))) await rm(path, { recursive: true, force: true });
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}
