import {
  Check,
  Column,
  CreateDateColumn,
  Entity,
  ForeignKey,
  Index,
  PrimaryColumn,
  Unique,
  UpdateDateColumn,
} from 'typeorm';
import { AccountEntity } from './account.entity.js';

export type ApiKeyStatus = 'active' | 'disabled' | 'revoked';

/** Secret of a caller; only its HMAC is kept. */
@Entity()
@Unique('api_key_external_id_key', ['externalId'])
@Unique('api_key_key_hash_key', ['keyHash'])
@Index('api_key_account_idx', ['accountId', 'id'])
@Check('api_key_dialect_well_formed', `dialect ~ '^[a-z][a-z0-9-]{0,31}$'`)
@Check('api_key_status_known', `status IN ('active', 'disabled', 'revoked')`)
export class ApiKeyEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'api_key_pkey' })
  id: string;

  @Column('uuid')
  @ForeignKey(() => AccountEntity, { name: 'api_key_account_id_fkey' })
  accountId: string;

  @Column('text')
  name: string;

  @Column('text', { nullable: true })
  externalId: string | null;

  /** The first characters of the key, for display. */
  @Column('text')
  prefix: string;

  @Column('text')
  last4: string;

  @Column('bytea')
  keyHash: Buffer;

  /** Models that the key may use: null is all of them, [] none. */
  @Column('text', { array: true, nullable: true })
  allowedModels: string[] | null;

  @Column('text', { default: 'active' })
  status: ApiKeyStatus;

  @Column('timestamptz', { nullable: true })
  expiresAt: Date | null;

  /** Dialect of the API that the key speaks; null is its account's. */
  @Column('text', { nullable: true })
  dialect: string | null;

  @CreateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  createdAt: Date;

  @UpdateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  updatedAt: Date;
}
