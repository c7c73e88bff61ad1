/** Why an installation cannot be made ready. The message says what to do about it, and has no secret in it. */
export class MigrateError extends Error {
  override readonly name = 'MigrateError';
}
