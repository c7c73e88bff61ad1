import { Check, Column, CreateDateColumn, Entity, Index, PrimaryColumn, Unique } from 'typeorm';

/** `full` may do everything, `read` may look at everything and change nothing. */
export type OperatorAccess = 'full' | 'read';

/** Secret of an operator; only its HMAC is kept. */
@Entity()
@Unique('operator_token_token_hash_key', ['tokenHash'])
@Index('operator_token_active_name_key', ['name'], { unique: true, where: 'revoked_at IS NULL' })
@Check('operator_token_access_known', `access IN ('full', 'read')`)
export class OperatorTokenEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'operator_token_pkey' })
  id: string;

  @Column('text')
  name: string;

  @Column('text', { default: 'full' })
  access: OperatorAccess;

  @Column('bytea')
  tokenHash: Buffer;

  /** The secret's last characters, to tell tokens apart; null for tokens that are older than the column. */
  @Column('text', { nullable: true })
  last4: string | null;

  @CreateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  createdAt: Date;

  @Column('timestamptz', { nullable: true })
  lastUsedAt: Date | null;

  @Column('timestamptz', { nullable: true })
  revokedAt: Date | null;
}
