import assert from 'node:assert/strict';
import { v7 as uuidv7 } from 'uuid';
import type { LedgerBench } from './ledger.spec-kit.js';
import { readBigint, readText } from './sql.js';

/** What `grant_escrow` answered, amounts in nano-credits. */
export interface GrantAnswer {
  readonly outcome: string;
  readonly granted: bigint;
  readonly available: bigint;
  readonly returning: bigint;
}

/** Asks for an escrow to grow to a total. */
export async function grantEscrow(
  bench: LedgerBench,
  { accountId, escrowId, totalNano }: { accountId: string; escrowId: string; totalNano: bigint },
): Promise<GrantAnswer> {
  const [row] = await bench.sql('SELECT * FROM tollgate.grant_escrow_batch($1)', [
    JSON.stringify([{ a: accountId, e: escrowId, total: totalNano.toString() }]),
  ]);
  assert(row !== undefined);
  return {
    outcome: String(row['outcome']),
    granted: readBigint(row, 'granted'),
    available: readBigint(row, 'available'),
    returning: readBigint(row, 'returning'),
  };
}

/** An account with so much posted, and an escrow of it with so much granted. */
export async function accountWithEscrow(bench: LedgerBench, balanceNano: bigint, grantedNano: bigint) {
  const accountId = await bench.newAccount(balanceNano);
  const escrowId = uuidv7();
  await grantEscrow(bench, { accountId, escrowId, totalNano: grantedNano });
  return { accountId, escrowId };
}

/** An escrow's row, in short: what it has, and its state. */
export async function escrow(bench: LedgerBench, escrowId: string): Promise<string> {
  const [row] = await bench.sql(
    `SELECT format('%s - %s - %s %s', granted, used, released, state)
            || CASE WHEN shut_at IS NULL THEN '' ELSE ' shut' END AS line
       FROM tollgate.reservation WHERE id = $1`,
    [escrowId],
  );
  return row === undefined ? 'unknown' : readText(row, 'line');
}

/** Moves the times of escrows into the past, as waiting would. */
export async function passTime(bench: LedgerBench, interval: string, ids: readonly string[]): Promise<void> {
  await bench.changeReservations(
    ids,
    `created_at = created_at - interval '${interval}', changed_at = changed_at - interval '${interval}',
     shut_at = shut_at - interval '${interval}'`,
  );
}
