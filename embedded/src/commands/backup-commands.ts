import { resolve } from 'node:path';
import { assertBackupPlace, writeBackup } from '../backup/backup.js';
import { restoreBackup } from '../backup/restore.js';
import { dataDirOf } from '../data-folder/data-dir.js';
import { assertNoUnfinishedRestore } from '../data-folder/restore-record.js';
import { visitDatabase } from '../database/visit-database.js';
import { LaunchError } from '../launch-error.js';
import type { CommandConfig } from './command.config.js';

const BYTES_PER_MIB = 1024 * 1024;

/** `npm run backup -- FILE.tar.gz`. @throws LaunchError, PostgresError */
export async function backupCommand(options: {
  config: CommandConfig;
  words: readonly string[];
  print: (line: string) => void;
  signal: AbortSignal;
}): Promise<void> {
  const { config, words, print, signal } = options;
  const file = fileOf(config, words, 'backup');
  const dataDir = dataDirOf(config);
  assertNoUnfinishedRestore(dataDir);
  assertBackupPlace(file, dataDir);
  const summary = await visitDatabase(dataDir, (database) =>
    writeBackup({ file, dataDir, database, signal }),
  );
  const mebibytes = (summary.contentBytes / BYTES_PER_MIB).toFixed(0);
  print(`Backed up ${dataDir} as of ${summary.completedAt} to ${file}:`);
  print(`${summary.fileCount} files, ${mebibytes} MiB before compression.`);
  print('It holds the master key and the passwords of the database: keep it as you keep a password.');
  if (config.MASTER_KEY !== undefined) {
    print('MASTER_KEY is set in the environment. That one is not in the backup: keep it too.');
  }
}

/** `npm run restore -- FILE.tar.gz`. @throws LaunchError, PostgresError */
export async function restoreCommand(options: {
  config: CommandConfig;
  words: readonly string[];
  print: (line: string) => void;
}): Promise<void> {
  const { config, words, print } = options;
  const file = fileOf(config, words, 'restore');
  const dataDir = dataDirOf(config);
  const { completedAt, accountCount, transferCount, violationCount } = await restoreBackup({ file, dataDir });
  print(`Restored ${dataDir} as of ${completedAt}: ${accountCount} accounts, ${transferCount} transfers.`);
  print(
    violationCount === 0
      ? `Every checksum is right, and so are the books. Start it with: ${startCommand(config, dataDir)}`
      : `The books are not right: tollgate.ledger_violation has ${violationCount} rows. They are as they were backed up.`,
  );
}

/** With the data folder that was restored into: without it another installation would start. */
function startCommand(config: CommandConfig, dataDir: string): string {
  if (config.DATA_DIR === undefined) return 'npm start';
  const word = /^[\w./-]+$/.test(dataDir) ? dataDir : `'${dataDir.replaceAll("'", `'\\''`)}'`;
  return `DATA_DIR=${word} npm start`;
}

function fileOf(config: CommandConfig, words: readonly string[], command: string): string {
  const [file, ...rest] = words;
  if (file === undefined || rest.length > 0 || file.startsWith('-')) {
    throw new LaunchError(`Say which file: npm run ${command} -- FILE.tar.gz`);
  }
  if (config.DATABASE_URL !== undefined) {
    throw new LaunchError(
      `DATABASE_URL is set: that Postgres is yours, and npm run ${command} knows only the embedded one. ` +
        'Use pg_dump and pg_restore, and keep MASTER_KEY with the dump.',
    );
  }
  return resolve(config.INIT_CWD ?? '.', file);
}
