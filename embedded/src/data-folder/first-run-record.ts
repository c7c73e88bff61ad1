import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from '@tollgate/runtime';

function recordFile(dataDir: string): string {
  return join(dataDir, 'first-run.json');
}

/** Whether the first run came to its end: everything is set up and the secrets were shown. */
export function isFirstRunDone(dataDir: string): boolean {
  return existsSync(recordFile(dataDir));
}

/** Remembers that the first run is over. Until then every start completes what is missing. */
export function recordFirstRun(dataDir: string): void {
  writeDurably(recordFile(dataDir), `${JSON.stringify({ completedAt: new Date().toISOString() })}\n`);
}
