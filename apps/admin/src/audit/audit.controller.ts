import { Controller, Get, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { EXPORT_MEDIA_TYPES } from '../http/export-format.js';
import { Exports } from '../http/exports.js';
import { Answers } from '../http/openapi.js';
import type { Page } from '../http/page.js';
import {
  auditSchema,
  exportAuditSchema,
  listAuditSchema,
  type AuditView,
  type ExportAudit,
  type ListAudit,
} from './audit.schema.js';
import { AuditService } from './audit.service.js';

@Controller('audit')
export class AuditController {
  constructor(
    private readonly audit: AuditService,
    private readonly exports: Exports,
  ) {}

  @Answers(auditSchema, { page: true })
  @Get()
  list(@Query({ schema: listAuditSchema }) asked: ListAudit): Promise<Page<AuditView>> {
    return this.audit.list(asked);
  }

  @Answers(null, {
    id: 'exportAudit',
    files: EXPORT_MEDIA_TYPES,
    problems: ['too_many_exports'],
    summary: 'Export the audit log as CSV or JSON Lines',
  })
  @Get('export')
  export(
    @Res() reply: FastifyReply,
    @Query({ schema: exportAuditSchema }) { format, ...filters }: ExportAudit,
  ): Promise<void> {
    return this.exports.send(reply, format, this.audit.export(filters));
  }
}
