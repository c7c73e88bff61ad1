import { Column, CreateDateColumn, Entity, Generated, PrimaryColumn, Unique } from 'typeorm';

/** A dead letter: a usage event that could not settle. Written by the ledger's SQL functions only. */
@Entity()
@Unique('quarantine_id_key', ['id'])
export class QuarantineEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'quarantine_pkey' })
  requestId: string;

  @PrimaryColumn('bytea', { primaryKeyConstraintName: 'quarantine_pkey' })
  bodyHash: Buffer;

  /** What operators call it by: a number as a decimal string. */
  @Column('bigint')
  @Generated('increment')
  id: string;

  @Column('text')
  reason: string;

  @Column('jsonb')
  body: unknown;

  @CreateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  createdAt: Date;
}
