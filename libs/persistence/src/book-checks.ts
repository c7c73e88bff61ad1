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
