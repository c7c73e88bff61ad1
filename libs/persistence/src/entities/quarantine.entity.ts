import { Column, CreateDateColumn, Entity, PrimaryColumn } from 'typeorm';

/** A usage event that can never settle. Written by the ledger's SQL functions only. */
@Entity()
export class QuarantineEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'quarantine_pkey' })
  requestId: string;

  @PrimaryColumn('bytea', { primaryKeyConstraintName: 'quarantine_pkey' })
  bodyHash: Buffer;

  @Column('text')
  reason: string;

  @Column('jsonb')
  body: unknown;

  @CreateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  createdAt: Date;
}
