import { Injectable } from '@nestjs/common';
import { SettingEntity } from '@tollgate/persistence';
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

  /** Changes what is given. @throws Problem 412 */
  async patch(actor: Actor, precondition: Precondition, asked: PatchSettings): Promise<Tagged<SettingsView>> {
    const { points, ...others } = asked;
    return editItem(this.changes, actor, {
      action: 'settings.update',
      target: 'settings',
      precondition,
      lock: (manager) =>
        manager.findOneOrFail(SettingEntity, { where: ONE_ROW, lock: { mode: 'for_no_key_update' } }),
      read: readSettings,
      write: async (manager) => {
        await manager.update(SettingEntity, ONE_ROW, {
          ...others,
          ...(points?.label !== undefined && { pointsLabel: points.label }),
          ...(points?.creditsPerPoint !== undefined && { nanoPerPoint: points.creditsPerPoint }),
          updatedAt: () => 'now()',
        });
      },
    });
  }
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
