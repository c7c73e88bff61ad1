import { Check, Column, CreateDateColumn, Entity, Index, PrimaryGeneratedColumn, Unique } from 'typeorm';
import { bigintTransformer } from '../bigint-transformer.js';

export type TransferKind =
  'usage' | 'swept' | 'absorbed' | 'reversal' | 'top_up' | 'grant' | 'refund' | 'adjustment' | 'expiry';

/** Immutable movement between two ledger accounts, at most one of them a customer's: then `accountId` names it. */
@Entity()
@Unique('transfer_once', ['kind', 'refId'])
@Unique('transfer_account_seq_key', ['accountId', 'accountSeq'])
@Index('transfer_kind_idx', ['kind', 'id'], { where: `kind NOT IN ('usage', 'absorbed')` })
@Index('transfer_account_kind_idx', ['accountId', 'kind', 'accountSeq'], {
  where: `kind NOT IN ('usage', 'absorbed')`,
})
@Index('transfer_created_at_idx', ['createdAt'], { type: 'brin' })
@Check(
  'transfer_kind_known',
  `kind IN ('usage', 'swept', 'absorbed', 'reversal', 'top_up', 'grant', 'refund', 'adjustment', 'expiry')`,
)
@Check('transfer_amount_positive', 'amount > 0')
@Check('transfer_two_sides', 'debit_id <> credit_id')
@Check(
  'transfer_account_whole',
  '(account_id IS NULL) = (account_seq IS NULL) AND (account_id IS NULL) = (balance_after IS NULL)',
)
@Check(
  'transfer_one_customer',
  `(debit_id IS NOT DISTINCT FROM account_id OR debit_id <= '00000000-0000-0000-0000-0000000000ff')
    AND (credit_id IS NOT DISTINCT FROM account_id OR credit_id <= '00000000-0000-0000-0000-0000000000ff')
    AND (account_id IS NULL OR account_id IN (debit_id, credit_id))`,
)
@Check(
  'transfer_side_of_kind',
  `CASE kind
  WHEN 'usage' THEN debit_id = account_id WHEN 'swept' THEN debit_id = account_id
  WHEN 'reversal' THEN credit_id = account_id WHEN 'absorbed' THEN account_id IS NULL ELSE true END`,
)
export class TransferEntity {
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'transfer_pkey',
  })
  id: string;

  @Column('text')
  kind: TransferKind;

  /** The request, payment or money call that the transfer is for: once per kind. */
  @Column('uuid')
  refId: string;

  @Column('uuid')
  debitId: string;

  @Column('uuid')
  creditId: string;

  /** Nano-credits, positive: from `debitId` to `creditId`. */
  @Column('bigint', { transformer: bigintTransformer })
  amount: bigint;

  @Column('uuid', { nullable: true })
  accountId: string | null;

  /** 1, 2, 3 … without a gap for each account. */
  @Column('bigint', { nullable: true, transformer: bigintTransformer })
  accountSeq: bigint | null;

  /** The account's posted balance after this transfer, in nano-credits. */
  @Column('bigint', { nullable: true, transformer: bigintTransformer })
  balanceAfter: bigint | null;

  @Column('text', { nullable: true })
  reference: string | null;

  @Column('text', { nullable: true })
  note: string | null;

  @CreateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  createdAt: Date;
}
