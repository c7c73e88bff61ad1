import { Controller, Get, HttpCode, Inject, Post, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { callerOf } from '../http/authentication.js';
import { BillingDashboard } from './billing-dashboard.js';
import { dashboardQuerySchema } from './dashboard.schema.js';
import { readQuery, type ReceivedQuery } from './query-parameters.js';

@Controller('v1/dashboard/billing')
export class BillingDashboardController {
  constructor(@Inject(BillingDashboard) private readonly dashboard: BillingDashboard) {}

  @Get('subscription')
  subscription(@Req() request: FastifyRequest): Promise<object> {
    return this.dashboard.subscription(callerOf(request));
  }

  @Get('usage')
  usage(@Req() request: FastifyRequest, @Query() query: ReceivedQuery): Promise<object> {
    return this.dashboard.usage(callerOf(request), readQuery(dashboardQuerySchema, query));
  }

  @Get('credit_grants')
  creditGrants(@Req() request: FastifyRequest): Promise<object> {
    return this.dashboard.creditGrants(callerOf(request));
  }

  /** The same with the members that some clients decide by. */
  @Post('credit_grants')
  @HttpCode(200)
  async queryCreditGrants(@Req() request: FastifyRequest): Promise<object> {
    return { code: 0, msg: 'ok', ...(await this.dashboard.creditGrants(callerOf(request))) };
  }
}
