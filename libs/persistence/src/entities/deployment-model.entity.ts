import { Check, Column, CreateDateColumn, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { DeploymentEntity } from './deployment.entity.js';
import { ModelEntity } from './model.entity.js';

/** A model that a deployment serves. Routing takes the highest priority first, and by weight within one priority. */
@Entity()
@Index('deployment_model_model_idx', ['model'])
@Check('deployment_model_weight_not_negative', 'weight >= 0')
export class DeploymentModelEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'deployment_model_pkey' })
  @ForeignKey(() => DeploymentEntity, { name: 'deployment_model_deployment_id_fkey' })
  deploymentId: string;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'deployment_model_pkey' })
  @ForeignKey(() => ModelEntity, { name: 'deployment_model_model_fkey' })
  model: string;

  @Column('text')
  upstreamModel: string;

  @Column('int', { default: 0 })
  priority: number;

  @Column('int', { default: 1 })
  weight: number;

  @CreateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  createdAt: Date;
}
