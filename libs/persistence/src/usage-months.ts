import type { Pool } from 'pg';

/** Makes the partitions of usage for this month and so many to come; answers how many of them are new. */
export async function ensureUsageMonths(pool: Pool, monthsAhead: number): Promise<number> {
  const { rows } = await pool.query<{ made: number }>('SELECT tollgate.ensure_usage_partitions($1) AS made', [
    monthsAhead,
  ]);
  return rows[0]?.made ?? 0;
}
