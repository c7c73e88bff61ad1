import type { Pool } from 'pg';
import { MIGRATION_TABLE, SCHEMA } from './data-source.js';
import { MIGRATION_NAMES } from './migrations/migration-list.js';

/** The database has another schema than this build works with. The message says what to do. */
export class SchemaVersionError extends Error {
  override readonly name = 'SchemaVersionError';
}

/** What `assertSchemaVersion` and `migrate` need of a pool or a client. */
export type SchemaReader = Pick<Pool, 'query'>;

/**
 * Makes sure that the database has exactly this build's schema: an application calls it before it does anything else.
 * @throws SchemaVersionError
 */
export async function assertSchemaVersion(database: SchemaReader): Promise<void> {
  const applied = await appliedMigrations(database);
  refuseNewerSchema(applied);
  if (MIGRATION_NAMES.some((name) => !applied.has(name))) {
    throw new SchemaVersionError(
      'the database has an older schema than this version of Tollgate: run its migrations first ' +
        '(`npm start` and the `migrate` service of docker compose do that), then start again',
    );
  }
}

/** @throws SchemaVersionError if a newer build than this one has migrated the database. */
export function refuseNewerSchema(applied: ReadonlySet<string>): void {
  const unknown = [...applied].filter((name) => !MIGRATION_NAMES.includes(name));
  if (unknown.length === 0) return;
  throw new SchemaVersionError(
    `the database was migrated by a newer version of Tollgate (${unknown.join(', ')}): start that version, ` +
      'or restore a backup from before the upgrade',
  );
}

/** The names of the migrations that the database has had; none if it is empty. */
export async function appliedMigrations(database: SchemaReader): Promise<ReadonlySet<string>> {
  const table = `${SCHEMA}.${MIGRATION_TABLE}`;
  const { rows: found } = await database.query<{ exists: boolean }>(
    'SELECT to_regclass($1) IS NOT NULL AS exists',
    [table],
  );
  if (found[0]?.exists !== true) return new Set();
  const { rows } = await database.query<{ name: string }>(`SELECT name FROM ${table}`);
  return new Set(rows.map((row) => row.name));
}
