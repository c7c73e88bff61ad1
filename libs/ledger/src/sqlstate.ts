import { DatabaseError } from 'pg';

/** The server's error code: five characters, of which the first two are the class. Null if the server never answered. */
export function sqlstateOf(error: unknown): string | null {
  if (error instanceof DatabaseError) return error.code ?? null;
  // TypeORM wraps the driver's error.
  if (error instanceof Error && 'driverError' in error) return sqlstateOf(error.driverError);
  return null;
}

/** A lock was not to be had in time (55P03), or the transaction lost against another one: the same again may succeed. */
export function isLockTrouble(sqlstate: string): boolean {
  return sqlstate === '55P03' || sqlstate === '40P01' || sqlstate === '40001';
}

/**
 * Whether the fault lies with the server or the connection, and not with what was sent: connection, resources, object
 * state, operator and shutdown; then transaction state and read-only servers, log-in, missing database, schema, function
 * or right, and I/O. The functions' text is fixed, so an event cannot cause the latter.
 */
export function isServerTrouble(sqlstate: string | null): boolean {
  return sqlstate === null || SERVER_TROUBLE_CLASSES.has(sqlstate.slice(0, 2));
}

const SERVER_TROUBLE_CLASSES = new Set(['08', '40', '53', '55', '57', '25', '28', '3D', '3F', '42', '58']);
