import type { PoolClient } from 'pg';
import type { DashboardMode, EmptyCompletions, NoCreditStatus } from './entities/setting.entity.js';

/** What operators set for the whole installation, as far as gateways need it. */
export interface Settings {
  readonly points: {
    /** What callers know a point as. */
    readonly label: string;
    readonly nanoPerPoint: bigint;
  };
  readonly emptyCompletions: EmptyCompletions;
  readonly dashboardMode: DashboardMode;
  readonly noCreditStatus: NoCreditStatus;
}

/** What holds as long as nobody sets anything else. */
export const DEFAULT_SETTINGS: Settings = {
  points: { label: 'points', nanoPerPoint: 1_000_000_000n },
  emptyCompletions: 'free',
  dashboardMode: 'month',
  noCreditStatus: 429,
};

interface SettingColumns {
  readonly points_label: string;
  readonly nano_per_point: string;
  readonly empty_completions: EmptyCompletions;
  readonly dashboard_mode: DashboardMode;
  readonly no_credit_status: NoCreditStatus;
}

/** Reads the settings as of now. */
export async function readSettings(client: PoolClient): Promise<Settings> {
  const { rows } = await client.query<SettingColumns>(
    'SELECT points_label, nano_per_point, empty_completions, dashboard_mode, no_credit_status FROM tollgate.setting',
  );
  const row = rows[0];
  if (row === undefined) throw new Error('tollgate.setting is empty: its one row was deleted');
  return {
    points: { label: row.points_label, nanoPerPoint: BigInt(row.nano_per_point) },
    emptyCompletions: row.empty_completions,
    dashboardMode: row.dashboard_mode,
    noCreditStatus: row.no_credit_status,
  };
}
