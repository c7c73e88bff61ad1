import {
  MigrationError,
  SchemaVersionError,
  assertMasterKey,
  assertSchemaVersion,
} from '@tollgate/persistence';
import type { MasterKey } from '@tollgate/runtime';
import { Client } from 'pg';
import { LaunchError } from '../launch-error.js';
import { codeOf, messageOf } from '../thrown.js';
import { prepareSchema } from './prepare-schema.js';

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Makes a Postgres of the operator's own ready: it answers, has this build's schema, and was filled with this master key.
 * It is migrated where the URL of its owner is given.
 * @throws LaunchError that names the variable and what to do; then nothing was started.
 */
export async function prepareOwnDatabase(options: {
  appUrl: string;
  ownerUrl: string | undefined;
  masterKey: MasterKey;
}): Promise<void> {
  const { appUrl, ownerUrl, masterKey } = options;
  if (ownerUrl !== undefined) {
    await (await connect('DATABASE_OWNER_URL', ownerUrl)).end();
    await prepareSchema({ ownerUrl, appUrl, masterKey });
  }
  const client = await connect('DATABASE_URL', appUrl);
  try {
    await assertSchemaVersion(client);
    await assertMasterKey(client, masterKey);
  } catch (cause) {
    if (!(cause instanceof SchemaVersionError) && !(cause instanceof MigrationError)) throw cause;
    const advice =
      cause instanceof SchemaVersionError && ownerUrl === undefined
        ? ' "npm start" migrates a Postgres of your own only if DATABASE_OWNER_URL, the URL of its owner, is set too.'
        : '';
    throw new LaunchError(
      `DATABASE_URL: ${cause.message}.${advice} Nothing was started, nothing was changed.`,
      {
        cause,
      },
    );
  } finally {
    await client.end();
  }
}

async function connect(variable: string, url: string): Promise<Client> {
  let client: Client | null = null;
  try {
    client = new Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  } catch (cause) {
    await client?.end().catch(() => undefined);
    // The place without its password.
    const place = client === null ? '' : ` (${client.user ?? ''}@${client.host}:${client.port})`;
    throw new LaunchError(
      `${variable}: Postgres${place} cannot be used: ${reasonOf(cause)}. ` +
        `Start it, or correct ${variable}. Nothing was started.`,
      { cause },
    );
  }
}

/** Where a name has several addresses, the error has a code but no message. */
function reasonOf(cause: unknown): string {
  return messageOf(cause) || codeOf(cause) || 'it does not answer';
}
