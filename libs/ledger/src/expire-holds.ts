import { readBigint, readText, type Sql } from './sql.js';

export interface ExpiredHold {
  readonly requestId: string;
  readonly accountId: string;
  /** Nano-credits that are free again. */
  readonly amountNano: bigint;
}

/**
 * Frees open holds that nobody has renewed in time, the longest overdue first, at most `holdsMax`. Holds of accounts that
 * somebody else has locked wait for the next call.
 */
export async function expireHolds(sql: Sql, holdsMax: number): Promise<ExpiredHold[]> {
  const rows = await sql('SELECT * FROM tollgate.expire_holds($1)', [holdsMax]);
  return rows.map((row) => ({
    requestId: readText(row, 'request_id'),
    accountId: readText(row, 'account_id'),
    amountNano: readBigint(row, 'amount'),
  }));
}
