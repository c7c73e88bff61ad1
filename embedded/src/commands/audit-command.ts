import { dataDirOf } from '../data-folder/data-dir.js';
import { assertNoUnfinishedRestore } from '../data-folder/restore-record.js';
import { visitDatabase } from '../database/visit-database.js';
import { LaunchError } from '../launch-error.js';
import { runAppCommand } from './app-command.js';
import type { CommandConfig } from './command.config.js';

/**
 * `npm run audit`: runs billing's own command on the embedded database, or on the one of DATABASE_URL. Answers its exit code: 1 if
 * the books are wrong. @throws LaunchError, PostgresError
 */
export async function auditCommand(options: {
  config: CommandConfig;
  words: readonly string[];
}): Promise<number> {
  const { config, words } = options;
  if (words.length > 0) throw new LaunchError('npm run audit takes no arguments.');
  const audit = (databaseUrl: string): Promise<number> =>
    runAppCommand({ entry: 'apps/billing/dist/audit.js', words, environment: { DATABASE_URL: databaseUrl } });
  if (config.DATABASE_URL !== undefined) return audit(config.DATABASE_URL);
  const dataDir = dataDirOf(config);
  assertNoUnfinishedRestore(dataDir);
  return visitDatabase(dataDir, ({ appUrl }) => audit(appUrl));
}
