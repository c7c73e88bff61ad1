/** Why the database cannot be migrated. The message says what to do about it. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}
