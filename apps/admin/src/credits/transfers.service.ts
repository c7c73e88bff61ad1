import assert from 'node:assert/strict';
import { Injectable } from '@nestjs/common';
import { requestIdToWire } from '@tollgate/contracts';
import { AccountEntity, TransferEntity, type TransferKind } from '@tollgate/persistence';
import { formatAmount } from '@tollgate/pricing';
import { DataSource } from 'typeorm';
import { PageReader, type Page } from '../http/page.js';
import { notFound } from '../http/problem.js';
import type { ListAccountTransfers, ListTransfers, TransferView } from './transfer.schema.js';

/** Kinds that are for a request: their reference is its id. */
const KINDS_OF_REQUESTS: ReadonlySet<TransferKind> = new Set(['usage', 'swept', 'absorbed', 'reversal']);

@Injectable()
export class TransfersService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly pages: PageReader,
  ) {}

  async listOfAccount(accountId: string, asked: ListAccountTransfers): Promise<Page<TransferView>> {
    if (!(await this.dataSource.manager.existsBy(AccountEntity, { id: accountId }))) {
      throw notFound('account');
    }
    return this.list({ ...asked, accountId });
  }

  /** Lists what touched accounts; movements between the system's own sides are not among them. */
  async list({ accountId, kind, from, to, ...page }: ListTransfers): Promise<Page<TransferView>> {
    const query = this.dataSource.manager.createQueryBuilder(TransferEntity, 'transfer');
    query.where('transfer.account_id IS NOT NULL');
    if (accountId !== undefined) query.andWhere('transfer.account_id = :accountId', { accountId });
    if (kind !== undefined) query.andWhere('transfer.kind = :kind', { kind });
    if (from !== undefined) query.andWhere('transfer.created_at >= :from', { from });
    if (to !== undefined) query.andWhere('transfer.created_at < :to', { to });
    return this.pages.read(page, { ...orderOf(accountId), query, toItem: transferView });
  }
}

/** One account's transfers are read by its own sequence, which has an index of its own. */
function orderOf(accountId: string | undefined): {
  name: string;
  newestFirst: string[];
  after: string;
  positionOf: (transfer: TransferEntity) => string;
} {
  if (accountId === undefined) {
    return {
      name: 'transfers',
      newestFirst: ['transfer.id'],
      after: 'transfer.id < :position',
      positionOf: (transfer) => transfer.id,
    };
  }
  return {
    name: `transfers/${accountId}`,
    newestFirst: ['transfer.accountSeq'],
    after: 'transfer.account_seq < :position',
    positionOf: (transfer) => String(transfer.accountSeq),
  };
}

/** Shows a transfer from its account's side: what the account is credited with comes in. */
export function transferView(transfer: TransferEntity): TransferView {
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
