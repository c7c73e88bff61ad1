import type { Client, Pool } from 'pg';
import { MigrationError } from './migration-error.js';

/** What is hashed with the master key, under a use of its own, to recognise the key later. */
const CHECKED_USE = 'installation';
const CHECKED_TEXT = 'this is the master key of this installation';

/** What this needs of a master key. */
export interface CheckedMasterKey {
  readonly keyId: string;
  hashSecret(use: string, secret: string): Buffer;
}

/**
 * Makes sure that a migrated database was filled with this master key, and notes the key in one that has none yet. Another
 * key would turn every API key and operator token into a stranger's.
 * @throws MigrationError that says what to restore
 */
export async function ensureMasterKey(owner: Client, masterKey: CheckedMasterKey): Promise<void> {
  const noted = await readCheck(owner);
  if (noted === null) {
    await refuseOtherKeyId(owner, masterKey.keyId);
    await owner.query(
      'INSERT INTO tollgate.installation (master_key_check) VALUES ($1) ON CONFLICT DO NOTHING',
      [checkOf(masterKey)],
    );
  }
  await assertMasterKey(owner, masterKey);
}

/**
 * Makes sure that an application was given the master key that its database was filled with: it calls this before it does
 * anything else. A database that notes none passes.
 * @throws MigrationError that says what to restore
 */
export async function assertMasterKey(
  database: Pick<Pool, 'query'>,
  masterKey: CheckedMasterKey,
): Promise<void> {
  const noted = await readCheck(database);
  if (noted !== null && !noted.equals(checkOf(masterKey))) throw wrongKey();
}

async function readCheck(database: Pick<Pool, 'query'>): Promise<Buffer | null> {
  const { rows } = await database.query<{ master_key_check: Buffer }>(
    'SELECT master_key_check FROM tollgate.installation',
  );
  return rows[0]?.master_key_check ?? null;
}

function checkOf(masterKey: CheckedMasterKey): Buffer {
  return masterKey.hashSecret(CHECKED_USE, CHECKED_TEXT);
}

/** A database from before this check has the key's id in each credential. */
async function refuseOtherKeyId(owner: Client, keyId: string): Promise<void> {
  const { rowCount } = await owner.query(
    "SELECT FROM tollgate.deployment WHERE split_part(credential, '.', 2) <> $1 LIMIT 1",
    [keyId],
  );
  if (rowCount !== 0) throw wrongKey();
}

function wrongKey(): MigrationError {
  return new MigrationError(
    'MASTER_KEY is not the key that this database was filled with: all API keys, operator tokens and credentials would be ' +
      'void. Restore the key (MASTER_KEY, or the secrets of the backup), or start with an empty database',
  );
}
