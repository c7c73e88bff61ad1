import assert from 'node:assert/strict';
import type { TransferKind } from '@tollgate/persistence';
import { int8, readBigint, readDate, readText, readTextOrNull, type Row, type Sql } from './sql.js';

/** Kinds of transfer that a person or a payment causes. */
export type AdjustmentKind = Extract<TransferKind, 'top_up' | 'grant' | 'refund' | 'adjustment'>;

export interface Adjustment {
  readonly kind: AdjustmentKind;
  /** Identifies the payment or call: the same one again books nothing. */
  readonly refId: string;
  readonly accountId: string;
  /** Nano-credits as the account sees them: top-ups and grants add, refunds take away, adjustments do either. */
  readonly amountNano: bigint;
  /** Whatever the operator's own books call it. */
  readonly reference?: string | null;
  readonly note?: string | null;
}

export interface BookedTransfer {
  /** A number as a decimal string. */
  readonly id: string;
  readonly kind: string;
  readonly refId: string;
  readonly accountId: string;
  /** Nano-credits as the account sees them: negative if it paid. */
  readonly amountNano: bigint;
  readonly accountSeq: bigint;
  readonly balanceAfterNano: bigint;
  readonly reference: string | null;
  readonly note: string | null;
  readonly createdAt: Date;
}

export type AdjustResult =
  /** Booked now, or found as it was booked before. */
  | { readonly outcome: 'booked' | 'again'; readonly transfer: BookedTransfer }
  /** Nothing was booked. `conflict`: the reference is known with another account or amount. */
  | { readonly outcome: 'conflict' | 'would_break_floor' | 'unknown_account' | 'out_of_range' };

/** Books money that is not usage. May be part of a transaction; then it keeps the account's row lock until its end. */
export async function adjust(sql: Sql, adjustment: Adjustment): Promise<AdjustResult> {
  const { kind, refId, accountId, amountNano, reference = null, note = null } = adjustment;
  const rows = await sql('SELECT * FROM tollgate.adjust($1, $2, $3, $4, $5, $6)', [
    kind,
    refId,
    accountId,
    int8(amountNano),
    reference,
    note,
  ]);
  return toAdjustResult(rows);
}

/** The one row that `tollgate.adjust` answers, and what goes like it. */
export function toAdjustResult([row]: readonly Row[]): AdjustResult {
  assert(row !== undefined, 'adjust answers one row');
  const outcome = readText(row, 'outcome');
  switch (outcome) {
    case 'booked':
    case 'again':
      return { outcome, transfer: toTransfer(row) };
    case 'conflict':
    case 'would_break_floor':
    case 'unknown_account':
    case 'out_of_range':
      return { outcome };
    default:
      throw new Error(`adjust answered ${outcome}`);
  }
}

function toTransfer(row: Row): BookedTransfer {
  return {
    id: readBigint(row, 'id').toString(),
    kind: readText(row, 'kind'),
    refId: readText(row, 'ref_id'),
    accountId: readText(row, 'account_id'),
    amountNano: readBigint(row, 'amount'),
    accountSeq: readBigint(row, 'account_seq'),
    balanceAfterNano: readBigint(row, 'balance_after'),
    reference: readTextOrNull(row, 'reference'),
    note: readTextOrNull(row, 'note'),
    createdAt: readDate(row, 'created_at'),
  };
}
