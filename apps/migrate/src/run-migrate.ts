import { ensureMasterKey, migrate } from '@tollgate/persistence';
import type { Logger } from '@tollgate/runtime';
import { Client } from 'pg';
import { firstOperatorText, makeFirstOperator } from './first-operator.js';
import { loadSecrets, type InstallationSecrets } from './installation-secrets.js';
import type { MigrateConfig } from './migrate.config.js';
import { awaitPostgres, claimOwner } from './owner-login.js';

/** What the flow needs of the process around it. */
export interface MigratePorts {
  readonly logger: Logger;
  /** Shows the operator what is shown once. */
  readonly print: (text: string) => void;
}

/**
 * Makes an installation ready to start, new or not. Running it again changes nothing.
 * @throws ConfigError, MigrateError, MigrationError, SchemaVersionError: messages for the operator
 */
export async function runMigrate(config: MigrateConfig, { logger, print }: MigratePorts): Promise<void> {
  const secrets = loadSecrets(config);
  const ownerUrl = await logIn(config, secrets);
  logger.info('Postgres is there, migrating');
  await migrate({ ownerUrl, appUrl: secrets.appUrl });
  const owner = new Client({ connectionString: ownerUrl, application_name: 'tollgate-migrate' });
  await owner.connect();
  try {
    await ensureMasterKey(owner, secrets.masterKey);
    await makeFirstOperator({
      owner,
      masterKey: secrets.masterKey,
      print: (token) => print(firstOperatorText(config, token)),
    });
  } finally {
    await owner.end();
  }
  logger.info('the installation is ready to start');
}

async function logIn(config: MigrateConfig, secrets: InstallationSecrets): Promise<string> {
  const { DATABASE_OWNER_URL: ownUrl } = config;
  if (ownUrl !== undefined) {
    await awaitPostgres(ownUrl, config.POSTGRES_WAIT_MS);
    return ownUrl;
  }
  return claimOwner(config, secrets.ownerPasswords);
}
