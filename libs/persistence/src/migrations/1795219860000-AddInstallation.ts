import { SqlMigration } from './sql-migration.js';

/** One row about the installation itself: by which master key its secrets were hashed and encrypted. */
export class AddInstallation extends SqlMigration {
  readonly name = 'AddInstallation1795219860000';
  protected readonly sql = `
CREATE TABLE tollgate.installation (
  singleton boolean NOT NULL DEFAULT true CONSTRAINT installation_pkey PRIMARY KEY,
  master_key_check bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT installation_one_row CHECK (singleton)
);`;
}
