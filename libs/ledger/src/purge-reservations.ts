import assert from 'node:assert/strict';
import type { Sql } from './sql.js';

/** Deletes closed reservations that are a week old, the oldest first, at most `rowsMax`. Answers how many. */
export async function purgeReservations(sql: Sql, rowsMax: number): Promise<number> {
  const [row] = await sql('SELECT tollgate.purge_reservations($1) AS purged', [rowsMax]);
  assert(row !== undefined, 'purge_reservations answers one row');
  return Number(row['purged']);
}
