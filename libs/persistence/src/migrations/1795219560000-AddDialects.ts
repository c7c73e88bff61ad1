import { SqlMigration } from './sql-migration.js';

/**
 * Which dialect of the API an account or a key speaks; null leaves it to the next: key, account, host. Only the form of a
 * name is checked here: a new dialect is the applications' business and needs no migration.
 */
export class AddDialects extends SqlMigration {
  readonly name = 'AddDialects1795219560000';
  protected readonly sql = SQL;
}

const SQL = `
ALTER TABLE tollgate.account
  ADD COLUMN dialect text,
  ADD CONSTRAINT account_dialect_well_formed CHECK (dialect ~ '^[a-z][a-z0-9-]{0,31}$');
ALTER TABLE tollgate.api_key
  ADD COLUMN dialect text,
  ADD CONSTRAINT api_key_dialect_well_formed CHECK (dialect ~ '^[a-z][a-z0-9-]{0,31}$');

-- As before, and for the dialect: whatever gateways remember of an account, but not its money.
DROP TRIGGER account_changed ON tollgate.account;
CREATE TRIGGER account_changed AFTER UPDATE OF name, status, plan, multiplier_ppm, floor, dialect ON tollgate.account
  FOR EACH STATEMENT EXECUTE FUNCTION tollgate.note_change();
`;
