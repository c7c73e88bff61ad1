import { Check, Column, CreateDateColumn, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { bigintTransformer } from '../bigint-transformer.js';
import { AccountEntity } from './account.entity.js';

export type ReservationKind = 'request' | 'escrow';
export type ReservationState = 'open' | 'closing' | 'closed';

/** Credits set aside: the hold of one request (same id), or an escrow. Written by the ledger's SQL functions only. */
@Entity()
@Index('reservation_one_open_escrow', ['accountId'], {
  unique: true,
  where: `kind = 'escrow' AND state = 'open'`,
})
@Index('reservation_live_idx', ['accountId', 'kind'], { where: `state <> 'closed'` })
@Index('reservation_deadline_idx', ['deadlineAt'], { where: `state = 'open'` })
@Index('reservation_idle_escrow_idx', ['changedAt'], { where: `kind = 'escrow' AND state = 'open'` })
@Index('reservation_closing_idx', ['deadlineAt'], { where: `kind = 'request' AND state = 'closing'` })
@Index('reservation_shut_escrow_idx', ['shutAt'], { where: `kind = 'escrow' AND state = 'closing'` })
@Check('reservation_kind_known', `kind IN ('request', 'escrow')`)
@Check('reservation_state_known', `state IN ('open', 'closing', 'closed')`)
@Check('reservation_used_not_negative', 'used >= 0')
@Check('reservation_released_not_negative', 'released >= 0')
@Check('reservation_within_grant', 'used + released <= granted')
@Check('reservation_closed_is_drained', `state <> 'closed' OR used + released = granted`)
@Check('reservation_checkpoint_of_request', `checkpoint IS NULL OR kind = 'request'`)
@Check('reservation_shut_is_over', `shut_at IS NULL OR (kind = 'escrow' AND state <> 'open')`)
@Check(
  'reservation_escrow_closes_late',
  `kind <> 'escrow' OR state <> 'closed'
    OR (shut_at IS NOT NULL AND changed_at - shut_at >= interval '2 minutes')`,
)
export class ReservationEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'reservation_pkey' })
  id: string;

  @Column('uuid')
  @ForeignKey(() => AccountEntity, { name: 'reservation_account_id_fkey' })
  accountId: string;

  @Column('text')
  kind: ReservationKind;

  /** Nano-credits, as are `used` and `released`. */
  @Column('bigint', { transformer: bigintTransformer })
  granted: bigint;

  @Column('bigint', { default: 0, transformer: bigintTransformer })
  used: bigint;

  @Column('bigint', { default: 0, transformer: bigintTransformer })
  released: bigint;

  @Column('text', { default: 'open' })
  state: ReservationState;

  @Column('timestamptz', { nullable: true })
  deadlineAt: Date | null;

  @CreateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  createdAt: Date;

  /** Of a hold: the usage event as it would be if the request ended now. */
  @Column('jsonb', { nullable: true })
  checkpoint: unknown;

  /** Of an escrow: since when its pocket is gone for certain. */
  @Column('timestamptz', { nullable: true })
  shutAt: Date | null;

  /** Of an escrow: when it was last asked for, drawn on, or changed its state; exact to the minute. */
  @Column('timestamptz', { default: () => 'now()' })
  changedAt: Date;
}
