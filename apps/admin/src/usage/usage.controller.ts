import { Controller, Get, Param, Query } from '@nestjs/common';
import type { Page } from '../http/page.js';
import { listUsageSchema, requestIdParameters, type ListUsage, type UsageView } from './usage.schema.js';
import { UsageService } from './usage.service.js';

@Controller('usage')
export class UsageController {
  constructor(private readonly usage: UsageService) {}

  @Get()
  list(@Query({ schema: listUsageSchema }) asked: ListUsage): Promise<Page<UsageView>> {
    return this.usage.list(asked);
  }

  @Get(':requestId')
  read(@Param({ schema: requestIdParameters }) { requestId }: { requestId: string }): Promise<UsageView> {
    return this.usage.read(requestId);
  }
}
