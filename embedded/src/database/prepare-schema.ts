import { MigrationError, SchemaVersionError, ensureMasterKey, migrate } from '@tollgate/persistence';
import type { MasterKey } from '@tollgate/runtime';
import { Client } from 'pg';
import { LaunchError } from '../launch-error.js';
import { messageOf } from '../thrown.js';

/**
 * Brings a database to this build's schema and makes sure that the master key is its own. Nothing else runs before.
 * @throws LaunchError that says what state the data are in.
 */
export async function prepareSchema(options: {
  ownerUrl: string;
  appUrl: string;
  masterKey: MasterKey;
}): Promise<void> {
  const { ownerUrl, appUrl, masterKey } = options;
  try {
    await migrate({ ownerUrl, appUrl });
  } catch (cause) {
    if (cause instanceof SchemaVersionError) {
      throw new LaunchError(
        `Tollgate cannot start here: ${cause.message}. Nothing was started, nothing was changed.`,
        { cause },
      );
    }
    throw new LaunchError(
      `The database could not be brought to this version of Tollgate: ${messageOf(cause)}\n` +
        'Nothing was started. Migrations are applied together or not at all, so the data are as they were. ' +
        'Start the version before, or mend what is named here and start again.',
      { cause },
    );
  }
  await checkMasterKey(ownerUrl, masterKey);
}

async function checkMasterKey(ownerUrl: string, masterKey: MasterKey): Promise<void> {
  const owner = new Client({ connectionString: ownerUrl });
  owner.on('error', () => undefined);
  await owner.connect();
  try {
    await ensureMasterKey(owner, masterKey);
  } catch (cause) {
    if (!(cause instanceof MigrationError)) throw cause;
    throw new LaunchError(`${cause.message}.`, { cause });
  } finally {
    await owner.end();
  }
}
