import { readBigint, readText, type Sql } from './sql.js';

export interface ExpiredHold {
  readonly requestId: string;
  readonly accountId: string;
  /** The hold in nano-credits: free again if it has no checkpoint. */
  readonly amountNano: bigint;
  /** Null: nothing was delivered, so the request is free and its hold is closed. Else the hold is open until it is swept. */
  readonly checkpoint: unknown;
  /** Its request was over, and its usage never came: every copy of it was lost. */
  readonly wasOver: boolean;
}

export interface ExpireHoldsOptions {
  /** No usage event that was published before is still waiting: only holds that were due then expire. Now, unless told. */
  readonly queueClearUntil?: Date | null;
}

/**
 * Frees open holds that nobody has renewed in time, the longest overdue first, and holds of requests that were over five minutes
 * and more ago without their usage having come, at most `holdsMax`. One with a checkpoint is
 * answered with it and stays as it is, to be settled as swept by the caller; it is answered again after a minute if it was
 * not. Holds of accounts that somebody else has locked wait for the next call.
 */
export async function expireHolds(
  sql: Sql,
  holdsMax: number,
  { queueClearUntil = null }: ExpireHoldsOptions = {},
): Promise<ExpiredHold[]> {
  const rows = await sql('SELECT * FROM tollgate.expire_holds($1, $2)', [holdsMax, queueClearUntil]);
  return rows.map((row) => ({
    requestId: readText(row, 'request_id'),
    accountId: readText(row, 'account_id'),
    amountNano: readBigint(row, 'amount'),
    checkpoint: row['checkpoint'],
    wasOver: row['was_over'] === true,
  }));
}
