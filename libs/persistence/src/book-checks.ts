import type { Pool } from 'pg';
import { z } from 'zod';

const countRow = z.tuple([z.object({ count: z.coerce.number() })]);

/** How many usage events are in quarantine that nobody has resolved. */
export async function countOpenDeadLetters(pool: Pool): Promise<number> {
  const { rows } = await pool.query(
    `SELECT count(*) FROM tollgate.quarantine q WHERE NOT EXISTS (
       SELECT FROM tollgate.dead_letter_decision d WHERE d.dead_letter_id = q.id AND d.outcome <> 'quarantined')`,
  );
  return countRow.parse(rows)[0].count;
}

/** How many invariants of the books are broken. Reads whole tables; rejects where that takes longer than `timeoutMs`. */
export async function countLedgerViolations(pool: Pool, timeoutMs: number): Promise<number> {
  const connection = await pool.connect();
  let broken: Error | undefined;
  try {
    await connection.query(`BEGIN READ ONLY; SET LOCAL statement_timeout = ${String(Math.trunc(timeoutMs))}`);
    const { rows } = await connection.query('SELECT count(*) FROM tollgate.ledger_violation');
    await connection.query('COMMIT');
    return countRow.parse(rows)[0].count;
  } catch (error) {
    broken = error instanceof Error ? error : new Error('the check failed');
    throw error;
  } finally {
    // A connection in the middle of a transaction is of no use to anybody else.
    connection.release(broken);
  }
}
