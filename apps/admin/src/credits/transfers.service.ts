import { Injectable } from '@nestjs/common';
import { AccountEntity, TransferEntity } from '@tollgate/persistence';
import { DataSource, type SelectQueryBuilder } from 'typeorm';
import type { Export } from '../http/exports.js';
import { PageReader, type Page } from '../http/page.js';
import { notFound } from '../http/problem.js';
import { TRANSFER_SHAPE, transferView, type ShownTransfer } from './transfer-view.js';
import type {
  ListAccountTransfers,
  ListTransfers,
  TransferFilters,
  TransferView,
} from './transfer.schema.js';

/** A row of an export: as the driver reads it, whole numbers of eight bytes are text. */
type TransferColumns = Omit<ShownTransfer, 'amount' | 'balanceAfter' | 'accountSeq'> & {
  readonly amount: string;
  readonly balanceAfter: string;
  readonly accountSeq: string;
};

@Injectable()
export class TransfersService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly pages: PageReader,
  ) {}

  async listOfAccount(accountId: string, asked: ListAccountTransfers): Promise<Page<TransferView>> {
    await this.requireAccount(accountId);
    return this.list({ ...asked, accountId });
  }

  /** Lists what touched accounts; movements between the system's own sides are not among them. */
  async list({ limit, cursor, ...filters }: ListTransfers): Promise<Page<TransferView>> {
    const query = this.transfersQuery(filters);
    return this.pages.read({ limit, cursor }, { ...orderOf(filters.accountId), query, toItem: transferView });
  }

  /** @throws Problem 404 for an account that does not exist. */
  async exportOfAccount(
    accountId: string,
    filters: TransferFilters,
  ): Promise<Export<TransferColumns, TransferView>> {
    await this.requireAccount(accountId);
    return this.export({ ...filters, accountId });
  }

  /** All transfers of a list, newest first. */
  export(filters: TransferFilters): Export<TransferColumns, TransferView> {
    const query = this.transfersQuery(filters).select([]);
    for (const [alias, column] of Object.entries(COLUMNS)) query.addSelect(`transfer.${column}`, alias);
    for (const property of orderOf(filters.accountId).newestFirst) query.addOrderBy(property, 'DESC');
    return {
      name: 'transfers',
      query: query.getQueryAndParameters(),
      toItem: ({ amount, balanceAfter, accountSeq, ...transfer }) =>
        transferView({
          ...transfer,
          amount: BigInt(amount),
          balanceAfter: BigInt(balanceAfter),
          accountSeq: BigInt(accountSeq),
        }),
      shape: TRANSFER_SHAPE,
    };
  }

  private transfersQuery({ accountId, kind, from, to }: TransferFilters): SelectQueryBuilder<TransferEntity> {
    const query = this.dataSource.manager.createQueryBuilder(TransferEntity, 'transfer');
    query.where('transfer.account_id IS NOT NULL');
    if (accountId !== undefined) query.andWhere('transfer.account_id = :accountId', { accountId });
    if (kind !== undefined) query.andWhere('transfer.kind = :kind', { kind });
    if (from !== undefined) query.andWhere('transfer.created_at >= :from', { from });
    if (to !== undefined) query.andWhere('transfer.created_at < :to', { to });
    return query;
  }

  private async requireAccount(id: string): Promise<void> {
    if (!(await this.dataSource.manager.existsBy(AccountEntity, { id }))) throw notFound('account');
  }
}

const COLUMNS: { readonly [column in keyof ShownTransfer]: string } = {
  id: 'id',
  kind: 'kind',
  refId: 'ref_id',
  creditId: 'credit_id',
  amount: 'amount',
  accountId: 'account_id',
  accountSeq: 'account_seq',
  balanceAfter: 'balance_after',
  reference: 'reference',
  note: 'note',
  createdAt: 'created_at',
};

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
