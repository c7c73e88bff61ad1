import { MigrationError, SchemaVersionError } from '@tollgate/persistence';
import { ConfigError, EXIT_CONFIG, createLogger, loadConfig } from '@tollgate/runtime';
import { MigrateError } from './migrate-error.js';
import { migrateConfigSchema } from './migrate.config.js';
import { runMigrate } from './run-migrate.js';

/** Errors whose message says all that the operator needs. */
const EXPECTED = [ConfigError, MigrateError, MigrationError, SchemaVersionError];

async function main(): Promise<void> {
  const config = loadConfig(migrateConfigSchema);
  await runMigrate(config, {
    logger: createLogger('migrate', config.LOG_LEVEL),
    print: (text) => process.stdout.write(text),
  });
}

main().catch((error: unknown) => {
  const logger = createLogger('migrate');
  if (error instanceof Error && EXPECTED.some((Expected) => error instanceof Expected)) {
    logger.fatal(error.message);
  } else {
    logger.fatal({ err: error }, 'could not migrate');
  }
  process.exitCode = error instanceof ConfigError ? EXIT_CONFIG : 1;
});
