import { Controller, Get, Inject, Param, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { callerOf } from '../http/authentication.js';
import { KeySelfService, type UsagePage } from './key-self-service.js';
import { readQuery, type ReceivedQuery } from './query-parameters.js';
import type { GenerationView } from './usage-view.js';
import { usageQuerySchema } from './usage.schema.js';

/** What a caller can ask about its own API key. */
@Controller('v1')
export class KeyController {
  constructor(@Inject(KeySelfService) private readonly service: KeySelfService) {}

  @Get('key')
  describe(@Req() request: FastifyRequest): Promise<object> {
    return this.service.describeKey(callerOf(request));
  }

  @Get('usage')
  list(@Req() request: FastifyRequest, @Query() query: ReceivedQuery): Promise<UsagePage> {
    return this.service.listUsage(callerOf(request), readQuery(usageQuerySchema, query));
  }

  @Get('generations/:id')
  read(@Req() request: FastifyRequest, @Param('id') id: string): Promise<GenerationView> {
    return this.service.readGeneration(callerOf(request), id);
  }
}
