import { Check, Column, CreateDateColumn, Entity, ForeignKey, PrimaryColumn, Unique } from 'typeorm';
import type { UnitKind } from '@tollgate/pricing';
import { bigintTransformer } from '../bigint-transformer.js';
import { ModelEntity } from './model.entity.js';

/** One version of a model's rates on a plan. Insert-only: in force until the next of its model and plan begins. */
@Entity()
@Unique('price_effective_once', ['model', 'plan', 'effectiveFrom'])
@Check('price_rates_exact', 'tollgate.is_rates(rates)')
@Check('price_per_request_in_range', 'per_request BETWEEN 0 AND 9000000000000000')
@Check('price_minimum_charge_in_range', 'minimum_charge BETWEEN 0 AND 9000000000000000')
export class PriceEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'price_pkey' })
  id: string;

  @Column('text')
  @ForeignKey(() => ModelEntity, { name: 'price_model_fkey' })
  model: string;

  @Column('text', { default: 'default' })
  plan: string;

  /** Pico-credits per unit as decimal strings. */
  @Column('jsonb')
  rates: { readonly [kind in UnitKind]?: string };

  /** Nano-credits added to each charged request. */
  @Column('bigint', { default: 0, transformer: bigintTransformer })
  perRequest: bigint;

  /** Nano-credits that a charged request costs at least. */
  @Column('bigint', { default: 0, transformer: bigintTransformer })
  minimumCharge: bigint;

  @Column('timestamptz')
  effectiveFrom: Date;

  @CreateDateColumn({ type: 'timestamptz', default: () => 'now()' })
  createdAt: Date;
}
