import { dataDirOf } from '../data-folder/data-dir.js';
import { assertNoUnfinishedRestore } from '../data-folder/restore-record.js';
import { loadSecrets } from '../data-folder/secrets.js';
import { visitDatabase } from '../database/visit-database.js';
import { runAppCommand } from './app-command.js';
import type { CommandConfig } from './command.config.js';

/**
 * `npm run operator:reset`: runs admin's own command on the embedded database, with the arguments that it got. Answers
 * its exit code. @throws LaunchError, PostgresError
 */
export async function resetCommand(options: {
  config: CommandConfig;
  words: readonly string[];
}): Promise<number> {
  const { config, words } = options;
  const { DATABASE_URL: ownUrl, MASTER_KEY: ownKey } = config;
  const dataDir = dataDirOf(config);
  if (ownUrl !== undefined) {
    return runReset({ words, databaseUrl: ownUrl, masterKey: ownKey ?? loadSecrets(dataDir).masterKey });
  }
  assertNoUnfinishedRestore(dataDir);
  return visitDatabase(dataDir, ({ appUrl, secrets }) =>
    runReset({ words, databaseUrl: appUrl, masterKey: ownKey ?? secrets.masterKey }),
  );
}

function runReset(options: {
  words: readonly string[];
  databaseUrl: string;
  masterKey: string;
}): Promise<number> {
  const { words, databaseUrl, masterKey } = options;
  const environment = { DATABASE_URL: databaseUrl, MASTER_KEY: masterKey };
  return runAppCommand({ entry: 'apps/admin/dist/operator-reset.js', words, environment });
}
