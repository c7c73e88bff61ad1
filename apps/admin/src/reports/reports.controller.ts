import { Controller, Get, Query } from '@nestjs/common';
import { Answers } from '../http/openapi.js';
import {
  revenueReportParameters,
  revenueReportSchema,
  usageReportParameters,
  usageReportSchema,
  type RevenueReport,
  type RevenueReportParameters,
  type UsageReport,
  type UsageReportParameters,
} from './report.schema.js';
import { RevenueReportService } from './revenue-report.service.js';
import { UsageReportService } from './usage-report.service.js';

@Controller('reports')
export class ReportsController {
  constructor(
    private readonly usageReports: UsageReportService,
    private readonly revenueReports: RevenueReportService,
  ) {}

  @Answers(usageReportSchema, { id: 'reportUsage', summary: 'Sum up usage by one or two groups' })
  @Get('usage')
  usage(@Query({ schema: usageReportParameters }) asked: UsageReportParameters): Promise<UsageReport> {
    return this.usageReports.report(asked);
  }

  @Answers(revenueReportSchema, { id: 'reportRevenue', summary: 'Sum up what came in and what was earned' })
  @Get('revenue')
  revenue(
    @Query({ schema: revenueReportParameters }) asked: RevenueReportParameters,
  ): Promise<RevenueReport> {
    return this.revenueReports.report(asked);
  }
}
