import assert from 'node:assert/strict';
import { z } from 'zod';
import { readText, readTextOrNull, type Sql } from './sql.js';

/** What is wrong with an account's books. */
export interface Violation {
  readonly invariant: string;
  /** The account, request or reservation that it is about. */
  readonly ref: string;
  readonly detail: string;
}

/** An account that gets no new escrow, because its books are wrong. */
export interface WrongAccount {
  readonly accountId: string;
  /** The first twenty. */
  readonly violations: readonly Violation[];
  /** False where an earlier check found it too. */
  readonly isNew: boolean;
}

/** What one pass over the books looked at. */
export interface BookPass {
  readonly accountCount: number;
  readonly wrong: readonly WrongAccount[];
}

export interface BookPassOptions {
  /** A pass that began less than so many seconds ago, in whatever process, is enough: then there is none now. */
  readonly everySeconds: number;
  /** Accounts that are checked by one statement. */
  readonly accountsMax: number;
}

const BEFORE_ALL = '00000000-0000-0000-0000-000000000000';
const violationsSchema = z.array(z.object({ invariant: z.string(), ref: z.string(), detail: z.string() }));

/**
 * Checks the books of every account that changed since the last pass, all of them the first time, and stops new escrow for those
 * that are wrong. Null if it is not yet time. Where it fails in the middle, the next pass begins where this one began.
 */
export async function checkBooks(sql: Sql, options: BookPassOptions): Promise<BookPass | null> {
  const { everySeconds, accountsMax } = options;
  const [pass] = await sql('SELECT * FROM tollgate.begin_ledger_pass(make_interval(secs => $1))', [
    everySeconds,
  ]);
  if (pass === undefined) return null;
  const since = readTextOrNull(pass, 'since');
  const wrong: WrongAccount[] = [];
  let accountCount = 0;
  let after = BEFORE_ALL;
  for (;;) {
    const rows = await sql('SELECT tollgate.changed_accounts($1, $2, $3) AS id', [since, after, accountsMax]);
    const ids = rows.map((row) => readText(row, 'id'));
    wrong.push(...(await checkAccounts(sql, ids)));
    accountCount += ids.length;
    const last = ids.at(-1);
    if (last === undefined || ids.length < accountsMax) break;
    after = last;
  }
  await sql('SELECT tollgate.end_ledger_pass($1)', [readText(pass, 'until')]);
  return { accountCount, wrong };
}

async function checkAccounts(sql: Sql, ids: readonly string[]): Promise<WrongAccount[]> {
  if (ids.length === 0) return [];
  const rows = await sql('SELECT * FROM tollgate.check_accounts($1)', [ids]);
  return rows.map((row) => ({
    accountId: readText(row, 'account_id'),
    violations: violationsSchema.parse(row['violations']),
    isNew: row['is_new'] === true,
  }));
}

/** What the last passes say, whichever process made them. */
export interface BookState {
  /** Violations of all accounts that are stopped, at most twenty of each. */
  readonly violationCount: number;
  /** When the last pass ended; null before the first. */
  readonly checkedAt: Date | null;
}

export async function readBookState(sql: Sql): Promise<BookState> {
  const [row] = await sql(
    `SELECT p.ended_at, (SELECT COALESCE(sum(jsonb_array_length(violations)), 0)::int FROM tollgate.escrow_stop
             WHERE cleared_at IS NULL) AS violations
       FROM tollgate.ledger_pass p`,
  );
  assert(row !== undefined, 'ledger_pass has one row');
  const { ended_at: endedAt, violations } = row;
  return { violationCount: Number(violations), checkedAt: endedAt instanceof Date ? endedAt : null };
}

/** Only `cleared` changed something. `still_wrong`: the books of the account have a violation now. */
export type ClearOutcome = 'cleared' | 'cleared_before' | 'still_wrong' | 'unknown';

/** Lets an account have escrow again that was stopped. `note` says why, for whoever asks later. */
export async function clearEscrowStop(sql: Sql, id: string, note: string): Promise<ClearOutcome> {
  const [row] = await sql('SELECT tollgate.clear_escrow_stop($1, $2) AS outcome', [id, note]);
  assert(row !== undefined, 'clear_escrow_stop answers one row');
  const outcome = readText(row, 'outcome');
  switch (outcome) {
    case 'cleared':
    case 'cleared_before':
    case 'still_wrong':
    case 'unknown':
      return outcome;
    default:
      throw new Error(`clear_escrow_stop answered ${outcome}`);
  }
}
