import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LaunchError } from '../launch-error.js';

/** Where a restore unpacks; as long as it exists the restore is not finished. */
export function restoreFolder(dataDir: string): string {
  return join(dataDir, 'restore.unfinished');
}

/** @throws LaunchError where a restore was cut off: starting there would make a new, empty installation. */
export function assertNoUnfinishedRestore(dataDir: string): void {
  if (!existsSync(restoreFolder(dataDir))) return;
  throw new LaunchError(
    `A restore into ${dataDir} did not come to its end. Repeat it: npm run restore -- FILE.tar.gz`,
  );
}
