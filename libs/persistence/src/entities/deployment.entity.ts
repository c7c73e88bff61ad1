import {
  Check,
  Column,
  CreateDateColumn,
  DeleteDateColumn,
  Entity,
  Index,
  PrimaryColumn,
  UpdateDateColumn,
} from 'typeorm';

export type DeploymentStatus = 'active' | 'disabled';
export type DeploymentProvider = 'openai';

/** One usable upstream. */
@Entity()
@Index('deployment_name_key', ['name'], { unique: true, where: 'deleted_at IS NULL' })
@Index('deployment_external_id_key', ['externalId'], { unique: true, where: 'deleted_at IS NULL' })
@Check('deployment_provider_known', `provider IN ('openai')`)
@Check('deployment_status_known', `status IN ('active', 'disabled')`)
export class DeploymentEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'deployment_pkey' })
  id: string;

  @Column('text')
  name: string;

  @Column('text', { nullable: true })
  externalId: string | null;

  @Column('text')
  provider: DeploymentProvider;

  @Column('text')
  baseUrl: string;

  /** The provider's secret, sealed with the master key. */
  @Column('text')
  credential: string;

  @Column('text', { default: 'active' })
  status: DeploymentStatus;

  /** The APIs that the upstream has natively; null asks it. */
  @Column('text', { array: true, nullable: true })
  apis: string[] | null;

  @Column('jsonb', { default: {} })
  settings: Record<string, unknown>;

  @CreateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  createdAt: Date;

  @UpdateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  updatedAt: Date;

  /** TypeORM finds no row that has it, unless asked to. */
  @DeleteDateColumn({ type: 'timestamptz', nullable: true })
  deletedAt: Date | null;
}
