import assert from 'node:assert/strict';
import { requestIdToWire } from '@tollgate/contracts';
import type { TransferEntity, TransferKind } from '@tollgate/persistence';
import { formatAmount } from '@tollgate/pricing';
import type { ExportShape } from '../http/export-format.js';
import type { TransferView } from './transfer.schema.js';

/** Kinds that are for a request: their reference is its id. */
const KINDS_OF_REQUESTS: ReadonlySet<TransferKind> = new Set(['usage', 'swept', 'absorbed', 'reversal']);

/** What of a transfer operators see. */
export type ShownTransfer = Omit<TransferEntity, 'debitId'>;

/** Shows a transfer from its account's side: what the account is credited with comes in. */
export function transferView(transfer: ShownTransfer): TransferView {
  const { id, accountId, kind, amount, balanceAfter, accountSeq, reference, note } = transfer;
  assert(
    accountId !== null && balanceAfter !== null && accountSeq !== null,
    'the transfer touches an account',
  );
  return {
    id,
    accountId,
    kind,
    amount: formatAmount(transfer.creditId === accountId ? amount : -amount),
    balanceAfter: formatAmount(balanceAfter),
    reference,
    note,
    ...(KINDS_OF_REQUESTS.has(kind) && { requestId: requestIdToWire(transfer.refId) }),
    seq: Number(accountSeq),
    createdAt: transfer.createdAt.toISOString(),
  };
}

/** Transfers as a table. */
export const TRANSFER_SHAPE: ExportShape<TransferView> = {
  columns: [
    'id',
    'createdAt',
    'accountId',
    'seq',
    'kind',
    'amount',
    'balanceAfter',
    'requestId',
    'reference',
    'note',
  ],
  toCells: (transfer) => [
    transfer.id,
    transfer.createdAt,
    transfer.accountId,
    transfer.seq,
    transfer.kind,
    transfer.amount,
    transfer.balanceAfter,
    transfer.requestId ?? null,
    transfer.reference,
    transfer.note,
  ],
};
