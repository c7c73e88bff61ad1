import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { CurrentActor, type Actor } from '../auth/operator.js';
import { Answers } from '../http/openapi.js';
import type { Page } from '../http/page.js';
import {
  clearEscrowStopSchema,
  escrowStopParameters,
  escrowStopSchema,
  listEscrowStopsSchema,
  type EscrowStopView,
  type ListEscrowStops,
} from './escrow-stop.schema.js';
import { EscrowStopsService } from './escrow-stops.service.js';

/** A stop is cleared once, so clearing needs no Idempotency-Key. */
@Controller('escrow-stops')
export class EscrowStopsController {
  constructor(private readonly stops: EscrowStopsService) {}

  @Answers(escrowStopSchema, { page: true })
  @Get()
  list(@Query({ schema: listEscrowStopsSchema }) asked: ListEscrowStops): Promise<Page<EscrowStopView>> {
    return this.stops.list(asked);
  }

  @Answers(escrowStopSchema)
  @Get(':id')
  read(@Param({ schema: escrowStopParameters }) { id }: { id: string }): Promise<EscrowStopView> {
    return this.stops.read(id);
  }

  @Answers(escrowStopSchema, { status: 200, problems: ['books_wrong'] })
  @Post(':id/clear')
  @HttpCode(200)
  clear(
    @CurrentActor() actor: Actor,
    @Param({ schema: escrowStopParameters }) { id }: { id: string },
    @Body({ schema: clearEscrowStopSchema }) { note }: { note: string },
  ): Promise<EscrowStopView> {
    return this.stops.clear(actor, id, note);
  }
}
