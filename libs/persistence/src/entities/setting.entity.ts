import { Check, Column, Entity, PrimaryColumn } from 'typeorm';
import { bigintTransformer } from '../bigint-transformer.js';

/** Whether a completed answer that says nothing costs its input. */
export const EMPTY_COMPLETIONS = ['free', 'charged'] as const;
export type EmptyCompletions = (typeof EMPTY_COMPLETIONS)[number];

/**
 * What the old billing pages subtract usage from: the available balance and what was charged this month, or that and all
 * that was ever charged.
 */
export const DASHBOARD_MODES = ['month', 'lifetime'] as const;
export type DashboardMode = (typeof DASHBOARD_MODES)[number];

/** The status of a request that the balance does not cover. */
export const NO_CREDIT_STATUSES = [429, 402] as const;
export type NoCreditStatus = (typeof NO_CREDIT_STATUSES)[number];

/** One row: what operators set for the whole installation. */
@Entity()
@Check('setting_one_row', 'singleton')
@Check('setting_points_label_length', 'length(points_label) BETWEEN 1 AND 40')
@Check('setting_nano_per_point_in_range', 'nano_per_point BETWEEN 1 AND 9000000000000000')
@Check('setting_empty_completions_known', `empty_completions IN ('free', 'charged')`)
@Check('setting_dashboard_mode_known', `dashboard_mode IN ('month', 'lifetime')`)
@Check('setting_no_credit_status_known', 'no_credit_status IN (402, 429)')
export class SettingEntity {
  @PrimaryColumn('boolean', { default: true, primaryKeyConstraintName: 'setting_pkey' })
  singleton: boolean;

  @Column('text', { default: 'points' })
  pointsLabel: string;

  /** Nano-credits that one point stands for. */
  @Column('bigint', { default: '1000000000', transformer: bigintTransformer })
  nanoPerPoint: bigint;

  @Column('text', { default: 'free' })
  emptyCompletions: EmptyCompletions;

  @Column('text', { default: 'month' })
  dashboardMode: DashboardMode;

  @Column('int', { default: 429 })
  noCreditStatus: NoCreditStatus;

  @Column('timestamptz', { default: () => 'now()' })
  updatedAt: Date;
}
