import { Controller, Get, Param, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { EXPORT_MEDIA_TYPES } from '../http/export-format.js';
import { Exports } from '../http/exports.js';
import { Answers } from '../http/openapi.js';
import type { Page } from '../http/page.js';
import {
  exportUsageSchema,
  listUsageSchema,
  requestIdParameters,
  usageSchema,
  type ExportUsage,
  type ListUsage,
  type UsageView,
} from './usage.schema.js';
import { UsageService } from './usage.service.js';

@Controller('usage')
export class UsageController {
  constructor(
    private readonly usage: UsageService,
    private readonly exports: Exports,
  ) {}

  @Get()
  @Answers(usageSchema, { page: true, summary: 'List the requests that were settled, newest first' })
  list(@Query({ schema: listUsageSchema }) asked: ListUsage): Promise<Page<UsageView>> {
    return this.usage.list(asked);
  }

  @Get('export')
  @Answers(null, {
    id: 'exportUsage',
    files: EXPORT_MEDIA_TYPES,
    problems: ['too_many_exports'],
    summary: 'Export the requests that were settled as CSV or JSON Lines',
  })
  export(
    @Res() reply: FastifyReply,
    @Query({ schema: exportUsageSchema }) { format, ...filters }: ExportUsage,
  ): Promise<void> {
    return this.exports.send(reply, format, this.usage.export(filters));
  }

  @Get(':requestId')
  @Answers(usageSchema, { summary: 'Read what became of one request' })
  read(@Param({ schema: requestIdParameters }) { requestId }: { requestId: string }): Promise<UsageView> {
    return this.usage.read(requestId);
  }
}
