import assert from 'node:assert/strict';
import { toAdjustResult, type Adjustment, type AdjustResult } from './adjust.js';
import { int8, readBigint, readText, readTextOrNull, type Sql } from './sql.js';

/** An escrow, and whose it is. */
export interface EscrowOf {
  readonly escrowId: string;
  readonly accountId: string;
}

/** What a pocket had when it was shut, in nano-credits. Null: it was gone, or its sums cannot be trusted. */
export type PocketRest = { readonly spentNano: bigint; readonly heldNano: bigint } | null;

/** Ends pockets in Redis. */
export interface PocketShutter {
  /** Ends the pocket of one escrow, so that no hold draws on it any more. Rejects where Redis did not answer. */
  shut(accountId: string, escrowId: string): Promise<PocketRest>;
}

/**
 * Sets escrows closing that were idle for five minutes or are an hour old, and answers all whose pockets are still to be
 * shut, at most `escrowsMax`.
 */
export async function dueEscrows(sql: Sql, escrowsMax: number): Promise<EscrowOf[]> {
  const rows = await sql('SELECT * FROM tollgate.due_escrows($1)', [escrowsMax]);
  return rows.map((row) => ({
    escrowId: readText(row, 'escrow_id'),
    accountId: readText(row, 'account_id'),
  }));
}

/** Sets an account's open escrow closing, and answers the newest whose pocket is still to be shut. */
export async function wantedEscrow(sql: Sql, accountId: string): Promise<string | null> {
  const [row] = await sql('SELECT tollgate.wanted_escrow($1) AS id', [accountId]);
  assert(row !== undefined, 'wanted_escrow answers one row');
  return readTextOrNull(row, 'id');
}

/**
 * Notes that the pocket of an escrow is shut, and frees what it says was neither spent nor held. The rest is free two minutes
 * later. Answers how much was freed, in nano-credits; null for an escrow that Postgres never granted.
 */
export async function shutEscrow(sql: Sql, escrowId: string, rest: PocketRest): Promise<bigint | null> {
  const [row] = await sql('SELECT tollgate.shut_escrow($1, $2, $3) AS freed', [
    escrowId,
    ...restParameters(rest),
  ]);
  assert(row !== undefined, 'shut_escrow answers one row');
  return row['freed'] === null ? null : readBigint(row, 'freed');
}

export interface FinishedEscrow extends EscrowOf {
  /** What was left in it, in nano-credits: nothing, unless its pocket or the closing of holds was lost. */
  readonly releasedNano: bigint;
}

/**
 * Closes escrows that were shut two minutes ago, and frees what is left in them. `queueClearUntil`: no usage event that was
 * published before is still waiting; a shut escrow waits until that is two minutes after its end.
 */
export async function finishEscrows(
  sql: Sql,
  { queueClearUntil, escrowsMax }: { readonly queueClearUntil: Date; readonly escrowsMax: number },
): Promise<FinishedEscrow[]> {
  const rows = await sql('SELECT * FROM tollgate.finish_escrows($1, $2)', [queueClearUntil, escrowsMax]);
  return rows.map((row) => ({
    escrowId: readText(row, 'escrow_id'),
    accountId: readText(row, 'account_id'),
    releasedNano: readBigint(row, 'released'),
  }));
}

/** Both in one transaction: what the pocket gives back is booked before anybody else can have it. */
export async function adjustWithShut(
  sql: Sql,
  adjustment: Adjustment,
  escrow: { readonly escrowId: string; readonly rest: PocketRest },
): Promise<AdjustResult> {
  const { kind, refId, accountId, amountNano, reference = null, note = null } = adjustment;
  const rows = await sql('SELECT * FROM tollgate.adjust_with_shut($1, $2, $3, $4, $5, $6, $7, $8, $9)', [
    kind,
    refId,
    accountId,
    int8(amountNano),
    reference,
    note,
    escrow.escrowId,
    ...restParameters(escrow.rest),
  ]);
  return toAdjustResult(rows);
}

/** Why money cannot be taken: nano-credits that are free, and those that running requests hold. */
export interface StillHeld {
  readonly freeNano: bigint;
  readonly runningNano: bigint;
}

/** What an account has once nothing of it is set aside any more but for requests. */
export async function readStillHeld(sql: Sql, accountId: string): Promise<StillHeld> {
  const [row] = await sql('SELECT posted - held - floor AS free, held FROM tollgate.account WHERE id = $1', [
    accountId,
  ]);
  assert(row !== undefined, 'accounts are never deleted');
  return { freeNano: readBigint(row, 'free'), runningNano: readBigint(row, 'held') };
}

/** Frees what a shut pocket gave back, within the transaction of `sql`. Nothing for the first attempt, which has shut none. */
export type ReleaseShut = (sql: Sql) => Promise<void>;

export interface TakingBack<Result> {
  /** Each statement on its own, in a transaction of its own. */
  readonly sql: Sql;
  /** Null where this process has no Redis: then the money is only asked back, and comes with the next sweep of billing. */
  readonly pockets: PocketShutter | null;
  readonly accountId: string;
  /** Books in one transaction, and calls `release` in it before: so nobody else has the money in between. */
  readonly book: (release: ReleaseShut) => Promise<Result>;
  readonly isShort: (result: Result) => boolean;
}

/** An account may get a new escrow while the one before is shut: then that is wanted back too. */
const ESCROWS_WANTED_MAX = 3;

/**
 * Books what an account may be too short for; where money is set aside for Redis, that is taken back first and the booking tried
 * again. Answers what the last attempt did.
 *
 * @throws what `book` throws, and what `pockets` throws where Redis does not answer: then nothing is booked, and the escrow stays
 *   closing.
 */
export async function takingBack<Result>(asked: TakingBack<Result>): Promise<Result> {
  const { sql, pockets, accountId, book, isShort } = asked;
  let result = await book(() => Promise.resolve());
  for (let wanted = 0; wanted < ESCROWS_WANTED_MAX && isShort(result); wanted += 1) {
    const escrowId = await wantedEscrow(sql, accountId);
    if (escrowId === null || pockets === null) break;
    const rest = await pockets.shut(accountId, escrowId);
    try {
      result = await book(async (within) => void (await shutEscrow(within, escrowId, rest)));
    } finally {
      // The pocket has answered for the only time, and a booking that was refused took its word back. Again frees nothing more.
      await shutEscrow(sql, escrowId, rest);
    }
  }
  return result;
}

/**
 * Brings back what is set aside for an account that needs it no more. What running requests hold stays theirs.
 * @throws what `pockets` throws where Redis does not answer: then billing brings it back later.
 */
export async function takeBackAll(sql: Sql, pockets: PocketShutter | null, accountId: string): Promise<void> {
  const escrowId = await wantedEscrow(sql, accountId);
  if (escrowId === null || pockets === null) return;
  await shutEscrow(sql, escrowId, await pockets.shut(accountId, escrowId));
}

function restParameters(rest: PocketRest): [string | null, string | null] {
  return rest === null ? [null, null] : [int8(rest.spentNano), int8(rest.heldNano)];
}

/** Sets open escrows closing whose pockets are gone. Answers which; those of locked accounts wait for the next time. */
export async function returnEscrows(sql: Sql, escrowIds: readonly string[]): Promise<string[]> {
  const rows = await sql('SELECT tollgate.return_escrows($1) AS id', [escrowIds]);
  return rows.map((row) => readText(row, 'id'));
}
