import {
  Check,
  Column,
  CreateDateColumn,
  Entity,
  Index,
  PrimaryColumn,
  Unique,
  UpdateDateColumn,
} from 'typeorm';
import { bigintTransformer } from '../bigint-transformer.js';

export type AccountStatus = 'active' | 'suspended';

/** Who owns credits and pays. The balance columns are written by the ledger's SQL functions only. */
@Entity()
@Unique('account_external_id_key', ['externalId'])
@Index('account_created_at_idx', ['createdAt', 'id'])
@Check('account_id_not_system', `id > '00000000-0000-0000-0000-0000000000ff'`)
@Check('account_status_known', `status IN ('active', 'suspended')`)
@Check('account_dialect_well_formed', `dialect ~ '^[a-z][a-z0-9-]{0,31}$'`)
@Check('account_multiplier_not_negative', 'multiplier_ppm >= 0')
@Check('account_held_not_negative', 'held >= 0')
@Check('account_never_below_floor', 'posted - held >= floor')
@Check('account_balance_in_range', 'posted <= 9000000000000000 AND floor >= -9000000000000000')
export class AccountEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'account_pkey' })
  id: string;

  @Column('text')
  name: string;

  @Column('text', { nullable: true })
  externalId: string | null;

  @Column('text', { default: 'active' })
  status: AccountStatus;

  /** The price list that the account buys from. */
  @Column('text', { default: 'default' })
  plan: string;

  /** Factor on every cost, in parts per million. */
  @Column('int', { default: 1_000_000 })
  multiplierPpm: number;

  @Column('jsonb', { default: {} })
  metadata: Record<string, unknown>;

  /** Dialect of the API that its keys speak unless they say otherwise. */
  @Column('text', { nullable: true })
  dialect: string | null;

  /** Lowest balance, in nano-credits: negative is a credit line, positive a reserve. */
  @Column({ type: 'bigint', default: 0, update: false, transformer: bigintTransformer })
  floor: bigint;

  /** Σ transfers, in nano-credits. */
  @Column({ type: 'bigint', default: 0, insert: false, update: false, transformer: bigintTransformer })
  posted: bigint;

  /** Σ remainders of open reservations, in nano-credits. */
  @Column({ type: 'bigint', default: 0, insert: false, update: false, transformer: bigintTransformer })
  held: bigint;

  /** `accountSeq` of the newest transfer. */
  @Column({ type: 'bigint', default: 0, insert: false, update: false, transformer: bigintTransformer })
  seq: bigint;

  @CreateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  createdAt: Date;

  @UpdateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  updatedAt: Date;
}
