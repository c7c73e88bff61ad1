/** The embedded Postgres cannot be used. The message says what is wrong and what the operator can do about it. */
export class PostgresError extends Error {
  override readonly name = 'PostgresError';
}
