import type { Outcome, UsageSource } from '@tollgate/contracts';
import type { Units } from '@tollgate/pricing';
import { Check, Column, CreateDateColumn, Entity, Index, PrimaryColumn } from 'typeorm';
import { bigintTransformer } from '../bigint-transformer.js';

/** One settled request. Insert-only, partitioned by month on the request id. */
@Entity()
@Index('usage_record_account_idx', ['accountId', 'requestId'])
@Index('usage_record_api_key_idx', ['apiKeyId', 'requestId'])
@Index('usage_record_model_idx', ['model', 'requestId'])
@Index('usage_record_deployment_idx', ['deploymentId', 'requestId'])
@Index('usage_record_failed_idx', ['outcome', 'requestId'], { where: `outcome <> 'completed'` })
@Index('usage_record_guessed_idx', ['usageSource', 'requestId'], { where: `usage_source <> 'provider'` })
@Check('usage_record_source_known', `usage_source IN ('provider', 'estimated', 'partial', 'none')`)
@Check(
  'usage_record_outcome_known',
  `outcome IN ('completed', 'client_closed', 'upstream_failed', 'cut_off', 'timeout')`,
)
@Check('usage_record_cost_not_negative', 'cost >= 0')
export class UsageRecordEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'usage_record_pkey' })
  requestId: string;

  @PrimaryColumn('boolean', { default: false, primaryKeyConstraintName: 'usage_record_pkey' })
  swept: boolean;

  @Column('uuid')
  accountId: string;

  @Column('uuid')
  apiKeyId: string;

  @Column('text')
  model: string;

  @Column('text')
  upstreamModel: string;

  @Column('uuid', { nullable: true })
  deploymentId: string | null;

  @Column('uuid')
  priceId: string;

  @Column('int')
  multiplierPpm: number;

  @Column('jsonb')
  units: Units;

  @Column('boolean')
  billable: boolean;

  @Column('text')
  usageSource: UsageSource;

  @Column('text')
  outcome: Outcome;

  /** Nano-credits: what was charged and what was absorbed together. */
  @Column('bigint', { transformer: bigintTransformer })
  cost: bigint;

  @Column('int')
  attempts: number;

  @Column('int', { nullable: true })
  firstByteMs: number | null;

  @Column('int')
  totalMs: number;

  @Column('timestamptz')
  finishedAt: Date;

  /** SHA-256 of the usage event: another event of the same request is told by it. */
  @Column('bytea')
  bodyHash: Buffer;

  @CreateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  recordedAt: Date;
}
