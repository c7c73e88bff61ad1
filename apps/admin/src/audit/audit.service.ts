import { Injectable } from '@nestjs/common';
import { requestIdToWire } from '@tollgate/contracts';
import { AuditLogEntity } from '@tollgate/persistence';
import { DataSource, type SelectQueryBuilder } from 'typeorm';
import type { ExportShape } from '../http/export-format.js';
import type { Export } from '../http/exports.js';
import { PageReader, type Page } from '../http/page.js';
import { whereTextIn } from '../http/text-search.js';
import type { AuditFilters, AuditView, ListAudit } from './audit.schema.js';

/** Where `q` is looked for. What was before and after is searched as the text of its JSON. */
const SEARCHED = [
  'audit.actor',
  'audit.action',
  'audit.target',
  'audit.request_id',
  'audit.before::text',
  'audit.after::text',
];

@Injectable()
export class AuditService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly pages: PageReader,
  ) {}

  async list({ limit, cursor, ...filters }: ListAudit): Promise<Page<AuditView>> {
    return this.pages.read(
      { limit, cursor },
      {
        name: 'audit',
        query: this.auditQuery(filters),
        newestFirst: ['audit.id'],
        after: 'audit.id < :position',
        positionOf: (row) => row.id,
        toItem: auditView,
      },
    );
  }

  /** All rows of a list, newest first. */
  export(filters: AuditFilters): Export<AuditLogEntity, AuditView> {
    const query = this.auditQuery(filters).select([]);
    for (const [alias, column] of Object.entries(COLUMNS)) query.addSelect(`audit.${column}`, alias);
    return {
      name: 'audit',
      query: query.orderBy('audit.id', 'DESC').getQueryAndParameters(),
      toItem: auditView,
      shape: AUDIT_SHAPE,
    };
  }

  private auditQuery(filters: AuditFilters): SelectQueryBuilder<AuditLogEntity> {
    const { actor, action, target, requestId, q, from, to } = filters;
    const query = this.dataSource.manager.createQueryBuilder(AuditLogEntity, 'audit');
    if (actor !== undefined) query.andWhere('audit.actor = :actor', { actor });
    if (action !== undefined) query.andWhere('audit.action = :action', { action });
    if (target !== undefined) query.andWhere('audit.target = :target', { target });
    if (requestId !== undefined) {
      query.andWhere('audit.request_id = :requestId', { requestId: requestIdToWire(requestId) });
    }
    if (from !== undefined) query.andWhere('audit.created_at >= :from', { from });
    if (to !== undefined) query.andWhere('audit.created_at < :to', { to });
    whereTextIn(query, SEARCHED, q);
    return query;
  }
}

const COLUMNS: { readonly [column in keyof AuditLogEntity]: string } = {
  id: 'id',
  actor: 'actor',
  action: 'action',
  target: 'target',
  before: 'before',
  after: 'after',
  requestId: 'request_id',
  createdAt: 'created_at',
};

function auditView(row: AuditLogEntity): AuditView {
  const { id, actor, action, target, before, after, requestId, createdAt } = row;
  return { id, actor, action, target, before, after, requestId, createdAt: createdAt.toISOString() };
}

/** The audit log as a table: what was before and after is JSON in a cell. */
const AUDIT_SHAPE: ExportShape<AuditView> = {
  columns: ['id', 'createdAt', 'actor', 'action', 'target', 'requestId', 'before', 'after'],
  toCells: ({ id, createdAt, actor, action, target, requestId, before, after }) => [
    id,
    createdAt,
    actor,
    action,
    target,
    requestId,
    before === null ? null : JSON.stringify(before),
    after === null ? null : JSON.stringify(after),
  ],
};
