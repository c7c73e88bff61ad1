import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { inheritedEnvironment } from '@tollgate/runtime';
import { dataDirOf } from '../data-folder/data-dir.js';
import { assertNoUnfinishedRestore } from '../data-folder/restore-record.js';
import { loadSecrets } from '../data-folder/secrets.js';
import { visitDatabase } from '../database/visit-database.js';
import type { CommandConfig } from './command.config.js';

const ENTRY = new URL('../../../apps/admin/dist/operator-reset.js', import.meta.url);

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
  const child = spawn(process.execPath, ['--enable-source-maps', fileURLToPath(ENTRY), ...words], {
    env: { ...inheritedEnvironment(), DATABASE_URL: databaseUrl, MASTER_KEY: masterKey },
    stdio: 'inherit',
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
