import { Column, CreateDateColumn, Entity, PrimaryColumn, Unique } from 'typeorm';

/** Secret of an operator; only its HMAC is kept. */
@Entity()
@Unique('operator_token_token_hash_key', ['tokenHash'])
export class OperatorTokenEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'operator_token_pkey' })
  id: string;

  @Column('text')
  name: string;

  @Column('bytea')
  tokenHash: Buffer;

  @CreateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  createdAt: Date;

  @Column('timestamptz', { nullable: true })
  lastUsedAt: Date | null;

  @Column('timestamptz', { nullable: true })
  revokedAt: Date | null;
}
