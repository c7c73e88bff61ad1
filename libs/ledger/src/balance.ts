import { readBigint, type Sql } from './sql.js';

/** An account's balance in nano-credits. */
export interface Balance {
  readonly postedNano: bigint;
  /** What running requests hold. */
  readonly heldNano: bigint;
  /** What the next request may use: posted − held − floor. */
  readonly availableNano: bigint;
  readonly floorNano: bigint;
  /** What is set aside for Redis: a matter of bookkeeping that is neither held nor lost, for diagnostics. */
  readonly setAsideNano: bigint;
}

/** The balance now; null if there is no such account. */
export async function getBalance(sql: Sql, accountId: string): Promise<Balance | null> {
  const [row] = await sql(
    `SELECT a.posted, a.held, a.floor,
            (SELECT COALESCE(sum(r.granted - r.used - r.released), 0)::bigint FROM tollgate.reservation r
              WHERE r.account_id = a.id AND r.kind = 'escrow' AND r.state <> 'closed') AS set_aside
       FROM tollgate.account a WHERE a.id = $1`,
    [accountId],
  );
  if (row === undefined) return null;
  const postedNano = readBigint(row, 'posted');
  const setAsideNano = readBigint(row, 'set_aside');
  const heldNano = readBigint(row, 'held') - setAsideNano;
  const floorNano = readBigint(row, 'floor');
  return { postedNano, heldNano, availableNano: postedNano - heldNano - floorNano, floorNano, setAsideNano };
}
