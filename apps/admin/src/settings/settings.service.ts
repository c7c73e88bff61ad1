import { Injectable } from '@nestjs/common';
import { DEFAULT_SETTINGS, SettingEntity } from '@tollgate/persistence';
import { formatAmount } from '@tollgate/pricing';
import { DataSource, type EntityManager } from 'typeorm';
import { AuditedChanges } from '../audit/audited-changes.js';
import { editItem } from '../audit/edited-item.js';
import type { Actor } from '../auth/operator.js';
import { Tagged, type Precondition } from '../http/etag.js';
import type { PatchSettings, SettingsView } from './settings.schema.js';

const ONE_ROW = { singleton: true };

@Injectable()
export class SettingsService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly changes: AuditedChanges,
  ) {}

  async read(): Promise<Tagged<SettingsView>> {
    return readSettings(this.dataSource.manager);
  }

  /** Changes what is given; null gives a setting its default again. @throws Problem 412 */
  async patch(actor: Actor, precondition: Precondition, asked: PatchSettings): Promise<Tagged<SettingsView>> {
    return editItem(this.changes, actor, {
      action: 'settings.update',
      target: 'settings',
      precondition,
      lock: (manager) =>
        manager.findOneOrFail(SettingEntity, { where: ONE_ROW, lock: { mode: 'for_no_key_update' } }),
      read: readSettings,
      write: async (manager) => {
        await manager.update(SettingEntity, ONE_ROW, {
          ...columnsOf(asked),
          updatedAt: () => 'now()',
        });
      },
    });
  }
}

/** The columns that a patch changes: those of absent settings are undefined, which TypeORM leaves as they are. */
function columnsOf({ points, ...asked }: PatchSettings): Partial<SettingEntity> {
  const defaults = DEFAULT_SETTINGS;
  const { label, creditsPerPoint } = points ?? { label: points, creditsPerPoint: points };
  return {
    pointsLabel: orDefault(label, defaults.points.label),
    nanoPerPoint: orDefault(creditsPerPoint, defaults.points.nanoPerPoint),
    emptyCompletions: orDefault(asked.emptyCompletions, defaults.emptyCompletions),
    dashboardMode: orDefault(asked.dashboardMode, defaults.dashboardMode),
    noCreditStatus: orDefault(asked.noCreditStatus, defaults.noCreditStatus),
  };
}

function orDefault<Value>(asked: Value | null | undefined, byDefault: Value): Value | undefined {
  return asked === null ? byDefault : asked;
}

async function readSettings(manager: EntityManager): Promise<Tagged<SettingsView>> {
  const row = await manager.findOneByOrFail(SettingEntity, ONE_ROW);
  const { emptyCompletions, dashboardMode, noCreditStatus } = row;
  return new Tagged({
    points: { label: row.pointsLabel, creditsPerPoint: formatAmount(row.nanoPerPoint) },
    emptyCompletions,
    dashboardMode,
    noCreditStatus,
    updatedAt: row.updatedAt.toISOString(),
  });
}
