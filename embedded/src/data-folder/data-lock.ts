import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { LaunchError } from '../launch-error.js';
import { processStart } from './process-start.js';
import { codeOf } from '../thrown.js';

const holderSchema = z.object({ pid: z.number().int(), start: z.string() });
type Holder = z.output<typeof holderSchema>;

/** Keeps a second start off a data folder in use. The lock of a killed process is recognised and taken over. */
export class DataLock {
  private constructor(
    private readonly path: string,
    /** The last run on this folder was killed: its processes may still be ending. */
    readonly tookOver: boolean,
  ) {}

  /** @throws LaunchError if a running process holds the folder. */
  static acquire(dataDir: string): DataLock {
    const path = join(dataDir, 'launcher.lock');
    const proposal = `${path}.${process.pid}`;
    const self: Holder = { pid: process.pid, start: processStart(process.pid) ?? '' };
    writeFileSync(proposal, JSON.stringify(self), { mode: 0o600 });
    let tookOver = false;
    try {
      // A link appears whole or not at all, and never over another.
      while (!tryLink(proposal, path)) {
        const holder = readHolder(path);
        if (holder !== null && processStart(holder.pid) === holder.start) throw inUse(dataDir, holder.pid);
        setAside(path, holder);
        tookOver = true;
      }
    } finally {
      rmSync(proposal, { force: true });
    }
    return new DataLock(path, tookOver);
  }

  release(): void {
    rmSync(this.path, { force: true });
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Removes a dead holder's lock, unless somebody else just replaced it by a live one. */
function setAside(path: string, dead: Holder | null): void {
  const aside = `${path}.${process.pid}.dead`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  const moved = readHolder(aside);
  if (moved !== null && (moved.pid !== dead?.pid || moved.start !== dead.start)) tryLink(aside, path);
  rmSync(aside, { force: true });
}

function readHolder(path: string): Holder | null {
  try {
    return holderSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return null;
  }
}

function inUse(dataDir: string, pid: number): LaunchError {
  return new LaunchError(
    `Tollgate is already running on ${dataDir} (process ${pid}).\n` +
      'Stop that one first, or start a second installation with DATA_DIR and other ports.',
  );
}
