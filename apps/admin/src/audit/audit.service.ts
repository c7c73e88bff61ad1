import { Injectable } from '@nestjs/common';
import { AuditLogEntity } from '@tollgate/persistence';
import { DataSource } from 'typeorm';
import { PageReader, type Page } from '../http/page.js';
import type { AuditView, ListAudit } from './audit.schema.js';

@Injectable()
export class AuditService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly pages: PageReader,
  ) {}

  async list({ target, action, from, to, ...page }: ListAudit): Promise<Page<AuditView>> {
    const query = this.dataSource.manager.createQueryBuilder(AuditLogEntity, 'audit');
    if (target !== undefined) query.andWhere('audit.target = :target', { target });
    if (action !== undefined) query.andWhere('audit.action = :action', { action });
    if (from !== undefined) query.andWhere('audit.created_at >= :from', { from });
    if (to !== undefined) query.andWhere('audit.created_at < :to', { to });
    return this.pages.read(page, {
      name: 'audit',
      query,
      newestFirst: ['audit.id'],
      after: 'audit.id < :position',
      positionOf: (row) => row.id,
      toItem: auditView,
    });
  }
}

function auditView(row: AuditLogEntity): AuditView {
  const { id, actor, action, target, before, after, requestId, createdAt } = row;
  return { id, actor, action, target, before, after, requestId, createdAt: createdAt.toISOString() };
}
