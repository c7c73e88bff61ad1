import {
  Check,
  Column,
  CreateDateColumn,
  DeleteDateColumn,
  Entity,
  PrimaryColumn,
  UpdateDateColumn,
} from 'typeorm';

/** A public name that callers ask for. */
@Entity()
@Check('model_id_not_empty', `id <> ''`)
@Check('model_limits_positive', 'context_tokens > 0 AND output_tokens_max > 0')
export class ModelEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'model_pkey' })
  id: string;

  @Column('text', { nullable: true })
  displayName: string | null;

  @Column('text', { default: 'tollgate' })
  ownedBy: string;

  @Column('int', { nullable: true })
  contextTokens: number | null;

  @Column('int', { nullable: true })
  outputTokensMax: number | null;

  @CreateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  createdAt: Date;

  @UpdateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  updatedAt: Date;

  /** TypeORM finds no row that has it, unless asked to. The id stays taken. */
  @DeleteDateColumn({ type: 'timestamptz', nullable: true })
  deletedAt: Date | null;
}
