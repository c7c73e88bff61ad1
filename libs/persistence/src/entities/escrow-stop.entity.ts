import { Check, Column, CreateDateColumn, Entity, ForeignKey, Index, PrimaryGeneratedColumn } from 'typeorm';
import { AccountEntity } from './account.entity.js';

/** That an account gets no new escrow, because its books were found wrong. Written by the ledger's SQL functions only. */
@Entity()
@Index('escrow_stop_one_open', ['accountId'], { unique: true, where: 'cleared_at IS NULL' })
@Index('escrow_stop_account_idx', ['accountId', 'id'])
@Check('escrow_stop_says_why', `jsonb_typeof(violations) = 'array' AND violations <> '[]'`)
@Check('escrow_stop_cleared_with_note', '(cleared_at IS NULL) = (note IS NULL)')
export class EscrowStopEntity {
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'escrow_stop_pkey',
  })
  id: string;

  @Column('uuid')
  @ForeignKey(() => AccountEntity, { name: 'escrow_stop_account_id_fkey' })
  accountId: string;

  /** What was found last, at most twenty of `{ invariant, ref, detail }`. */
  @Column('jsonb')
  violations: unknown;

  @CreateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  createdAt: Date;

  @Column('timestamptz', { nullable: true })
  clearedAt: Date | null;

  /** Why an operator cleared it. */
  @Column('text', { nullable: true })
  note: string | null;
}
