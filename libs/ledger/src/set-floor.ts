import assert from 'node:assert/strict';
import { int8, readText, type Sql } from './sql.js';

/** Everything but `set` changed nothing. `would_break_floor`: posted − held is below that floor now. */
export type SetFloorOutcome = 'set' | 'would_break_floor' | 'unknown_account' | 'out_of_range';

/**
 * Sets what posted − held of an account never goes below, in nano-credits: negative is a credit line, positive a reserve.
 * May be part of a transaction; then it keeps the account's row lock until its end.
 */
export async function setFloor(
  sql: Sql,
  { accountId, floorNano }: { readonly accountId: string; readonly floorNano: bigint },
): Promise<SetFloorOutcome> {
  const [row] = await sql('SELECT tollgate.set_floor($1, $2) AS outcome', [accountId, int8(floorNano)]);
  assert(row !== undefined, 'set_floor answers one row');
  const outcome = readText(row, 'outcome');
  switch (outcome) {
    case 'set':
    case 'would_break_floor':
    case 'unknown_account':
    case 'out_of_range':
      return outcome;
    default:
      throw new Error(`set_floor answered ${outcome}`);
  }
}
