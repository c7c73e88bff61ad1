import { Column, CreateDateColumn, Entity, PrimaryColumn } from 'typeorm';

/** The answer to a money call, kept for ever: the same call again gets it again. Insert-only. */
@Entity()
export class IdempotencyRecordEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'idempotency_record_pkey' })
  accountId: string;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'idempotency_record_pkey' })
  route: string;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'idempotency_record_pkey' })
  key: string;

  @Column('bytea')
  bodyHash: Buffer;

  /** Not jsonb, which would order its fields anew. */
  @Column('json')
  answer: unknown;

  @CreateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  createdAt: Date;
}
