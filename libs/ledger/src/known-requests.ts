import { readText, type Sql } from './sql.js';

/** Which of the requests have their true usage in the books, or in quarantine: nobody needs to keep their events. */
export async function knownRequests(sql: Sql, requestIds: readonly string[]): Promise<Set<string>> {
  const rows = await sql('SELECT tollgate.known_requests($1) AS id', [requestIds]);
  return new Set(rows.map((row) => readText(row, 'id')));
}
