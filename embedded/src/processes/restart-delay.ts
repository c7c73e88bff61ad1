const FIRST_DELAY_MS = 1_000;
const DELAY_MAX_MS = 30_000;

/** How long to wait before a process is started again after so many failures in a row: 1, 2, 4 … 30 s. */
export function restartDelayMs(failures: number): number {
  return Math.min(FIRST_DELAY_MS * 2 ** Math.max(0, failures - 1), DELAY_MAX_MS);
}
