import type { Connection } from './read-snapshot.js';

/** Credits that an account was given: a top-up, a grant, or an adjustment in its favour. */
export interface CreditRow {
  /** The transfer's number in its account. */
  readonly seq: bigint;
  readonly amountNano: bigint;
  readonly createdAt: Date;
}

export interface Credits {
  /** All that was given, less what was taken back otherwise than by usage. */
  readonly grantedNano: bigint;
  /** The latest of what was given, newest first. */
  readonly latest: readonly CreditRow[];
}

/** What an account was given in its lifetime, with the latest `limit` credits one by one. */
export async function readCredits(
  connection: Connection,
  accountId: string,
  limit: number,
): Promise<Credits> {
  const { rows } = await connection.query<{
    granted: string;
    seq: string | null;
    amount: string;
    created_at: Date;
  }>(
    `WITH moved AS MATERIALIZED (
       SELECT account_seq AS seq, created_at, CASE WHEN credit_id = account_id THEN amount ELSE -amount END AS amount
         FROM tollgate.transfer
        WHERE account_id = $1 AND kind IN ('top_up', 'grant', 'refund', 'adjustment', 'expiry'))
     SELECT (SELECT COALESCE(sum(amount), 0) FROM moved) AS granted, latest.*
       FROM (VALUES (1)) AS always LEFT JOIN
            (SELECT seq, amount, created_at FROM moved WHERE amount > 0 ORDER BY seq DESC LIMIT $2) AS latest ON true
      ORDER BY latest.seq DESC`,
    [accountId, limit],
  );
  const latest = rows.flatMap(({ seq, amount, created_at: createdAt }) =>
    seq === null ? [] : [{ seq: BigInt(seq), amountNano: BigInt(amount), createdAt }],
  );
  return { grantedNano: BigInt(rows[0]?.granted ?? '0'), latest };
}
