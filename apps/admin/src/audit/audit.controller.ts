import { Controller, Get, Query } from '@nestjs/common';
import type { Page } from '../http/page.js';
import { listAuditSchema, type AuditView, type ListAudit } from './audit.schema.js';
import { AuditService } from './audit.service.js';

@Controller('audit')
export class AuditController {
  constructor(private readonly audit: AuditService) {}

  @Get()
  list(@Query({ schema: listAuditSchema }) asked: ListAudit): Promise<Page<AuditView>> {
    return this.audit.list(asked);
  }
}
