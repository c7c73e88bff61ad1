import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Field 22 of /proc/<pid>/stat (proc(5)), counted from the state that follows the name in brackets. */
const START_TIME_FIELD = 19;

/**
 * When a process began, as a text that differs for each process that ever had this id since the machine was started;
 * null if there is no such process.
 */
export function processStart(pid: number): string | null {
  if (process.platform !== 'linux') return startByPs(pid);
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, ...fields] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? null : (fields[START_TIME_FIELD - 1] ?? null);
  } catch {
    return null;
  }
}

function startByPs(pid: number): string | null {
  const { stdout } = spawnSync('ps', ['-p', String(pid), '-o', 'lstart='], { encoding: 'utf8' });
  return stdout.trim() || null;
}
