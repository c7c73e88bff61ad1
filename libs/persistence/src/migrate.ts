import { runMigrations } from 'bullmq';
import { Client } from 'pg';
import { ensureApplicationRole, grantToApplication, readApplicationRole } from './application-role.js';
import { SCHEMA, createDataSource } from './data-source.js';
import { MigrationError } from './migration-error.js';
import { appliedMigrations, refuseNewerSchema } from './schema-version.js';

/** BullMQ's own schema in the same database. */
export const QUEUE_SCHEMA = 'bullmq';

/** "toll" in ASCII: whoever migrates holds this advisory lock. */
const LOCK_KEY = 0x746f6c6c;
const LOCK_WAIT = '10min';
const POSTGRES_VERSION_MIN = 15;
const MONTHS_AHEAD = 3;

export interface MigrateOptions {
  /** Logs in as the role that owns the tables (DATABASE_OWNER_URL). */
  readonly ownerUrl: string;
  /** The applications' URL (DATABASE_URL): its role is made or updated, and gets its rights. */
  readonly appUrl: string;
}

/**
 * Brings a database, empty or filled, to this build's schema: our migrations, BullMQ's, the months of usage up to
 * three ahead, and the application role with its rights. Running it again changes nothing; several at once take turns.
 * @throws MigrationError, SchemaVersionError, or the driver's error; our migrations are applied together or not at all.
 */
export async function migrate(options: MigrateOptions): Promise<void> {
  const role = readApplicationRole(options);
  const owner = new Client({
    connectionString: options.ownerUrl,
    application_name: 'tollgate-migrate',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  });
  // A lost connection also fails the query in progress; unheard, the event would end the process instead.
  owner.on('error', () => undefined);
  await owner.connect();
  try {
    await assertPostgresVersion(owner);
    await lock(owner);
    refuseNewerSchema(await appliedMigrations(owner));
    await owner.query(`CREATE SCHEMA IF NOT EXISTS ${SCHEMA}`);
    await runOwnMigrations(options.ownerUrl);
    await runMigrations(owner, QUEUE_SCHEMA);
    await owner.query(`SELECT ${SCHEMA}.ensure_usage_partitions($1)`, [MONTHS_AHEAD]);
    await ensureApplicationRole(owner, options.appUrl, role);
    await grantToApplication(owner, role);
  } finally {
    await owner.end();
  }
}

async function assertPostgresVersion(owner: Client): Promise<void> {
  const { rows } = await owner.query<{ number: string }>(
    `SELECT current_setting('server_version_num') AS number`,
  );
  const major = Math.floor(Number(rows[0]?.number) / 10_000);
  if (major >= POSTGRES_VERSION_MIN) return;
  throw new MigrationError(
    `Tollgate needs PostgreSQL ${POSTGRES_VERSION_MIN} or newer; this server is ${major}`,
  );
}

/** The lock belongs to the connection: it is gone with it, however this process ends. */
async function lock(owner: Client): Promise<void> {
  await owner.query(`SET lock_timeout = '${LOCK_WAIT}'`);
  await owner.query('SELECT pg_advisory_lock($1)', [LOCK_KEY]);
  await owner.query('RESET lock_timeout');
}

async function runOwnMigrations(ownerUrl: string): Promise<void> {
  const dataSource = createDataSource(ownerUrl, { max: 1, name: 'tollgate-migrate' });
  await dataSource.initialize();
  try {
    await dataSource.runMigrations();
  } finally {
    await dataSource.destroy();
  }
}
