import type { Pool, PoolClient } from 'pg';

/** A pool, or one of its connections where several reads have to see the same moment. */
export type Connection = Pool | PoolClient;

/**
 * Runs reads in one transaction that sees one moment and writes nothing, so that their numbers fit together.
 * @param options.statementTimeoutMs the server gives a statement up after so long.
 */
export async function readSnapshot<T>(
  pool: Pool,
  options: { readonly statementTimeoutMs: number },
  read: (connection: PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let failure: unknown;
  try {
    await client.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
       SET LOCAL statement_timeout = ${String(Math.trunc(options.statementTimeoutMs))}`,
    );
    const result = await read(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    // A connection that failed is thrown away: its transaction may still be open.
    client.release(failure !== undefined);
  }
}
