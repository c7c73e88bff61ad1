import { SqlMigration } from './sql-migration.js';

/**
 * An answer to a money call is kept as the text that it was: jsonb orders the fields anew, so that the repeated answer was
 * another text than the first. What was stored before keeps the order that it has.
 */
export class KeepAnswersAsTheyWere extends SqlMigration {
  readonly name = 'KeepAnswersAsTheyWere1795219920000';
  protected readonly sql = `
ALTER TABLE tollgate.idempotency_record ALTER COLUMN answer TYPE json USING answer::json;`;
}
