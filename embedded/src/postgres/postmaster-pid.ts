import { readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { basename, join } from 'node:path';
import { codeOf } from '../thrown.js';

/** What a running Postgres writes into its data folder: lines 1 (pid), 4 (port) and 8 (status) of postmaster.pid. */
export interface PostmasterPid {
  readonly pid: number;
  readonly port: number;
  /** starting, ready, standby, stopping; empty while the file is being written. */
  readonly status: string;
}

function pidFile(dataDir: string): string {
  return join(dataDir, 'postmaster.pid');
}

/** Reads postmaster.pid, or null if there is none or it holds no process id. */
export function readPostmasterPid(dataDir: string): PostmasterPid | null {
  let text: string;
  try {
    text = readFileSync(pidFile(dataDir), 'utf8');
  } catch {
    return null;
  }
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  if (!Number.isSafeInteger(pid) || pid <= 1) return null;
  return { pid, port: Number(lines[3] ?? 0), status: (lines[7] ?? '').trim() };
}

/** Removes the postmaster.pid that a killed Postgres left behind. */
export function clearPostmasterPid(dataDir: string): void {
  rmSync(pidFile(dataDir), { force: true });
}

/** Whether a process exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it exists, but belongs to somebody else.
    return codeOf(error) === 'EPERM';
  }
}

/**
 * Whether a process is the Postgres of this data folder. A process id alone proves nothing: after a reboot or in a new
 * container it is soon somebody else's. When in doubt the answer is yes, since two servers on one folder would ruin it.
 */
export function isPostmasterOf(pid: number, dataDir: string): boolean {
  if (!isAlive(pid)) return false;
  if (process.platform === 'linux') return isLinuxPostmaster(pid, dataDir);
  if (process.platform === 'win32') return true;
  const { stdout } = spawnSync('ps', ['-p', String(pid), '-o', 'command='], { encoding: 'utf8' });
  return /postgres|postmaster/.test(stdout);
}

function isLinuxPostmaster(pid: number, dataDir: string): boolean {
  const program = linuxProgram(pid);
  if (program === null || !/^(postgres|postmaster)/.test(program)) return false;
  try {
    // Postgres works in its data folder.
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(dataDir);
  } catch {
    return linuxProgram(pid) !== null;
  }
}

/**
 * The name of the program that a process runs; null once it has ended, even if its parent has not noticed yet. While it
 * ends it has no command line any more, but still its sockets and files: there the kernel's name of it counts
 * (proc_pid_stat(5): `pid (name) state …`).
 */
function linuxProgram(pid: number): string | null {
  try {
    const [, name = '', state = ''] =
      /^\d+ \((.*)\) (\S)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    if (state === 'Z' || state === 'X') return null;
    const [path = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return path === '' ? name : basename(path);
  } catch {
    return null;
  }
}
