import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import { CurrentActor, type Actor } from '../auth/operator.js';
import { idParameters } from '../http/fields.js';
import type { Page } from '../http/page.js';
import {
  createPriceSchema,
  createPricesSchema,
  listPricesSchema,
  type CreatePrice,
  type CreatePrices,
  type ListPrices,
  type PriceView,
} from './price.schema.js';
import { PricesService } from './prices.service.js';

@Controller()
export class PricesController {
  constructor(private readonly prices: PricesService) {}

  @Post('prices')
  create(
    @CurrentActor() actor: Actor,
    @Body({ schema: createPriceSchema }) asked: CreatePrice,
  ): Promise<PriceView> {
    return this.prices.create(actor, asked);
  }

  /** The path is `/prices:batch`: two colons are one in the router's syntax. */
  @Post('prices::batch')
  createAll(
    @CurrentActor() actor: Actor,
    @Body({ schema: createPricesSchema }) asked: CreatePrices,
  ): Promise<{ data: PriceView[] }> {
    return this.prices.createAll(actor, asked.prices);
  }

  @Get('prices')
  list(@Query({ schema: listPricesSchema }) asked: ListPrices): Promise<Page<PriceView>> {
    return this.prices.list(asked);
  }

  @Get('prices/:id')
  read(@Param({ schema: idParameters }) { id }: { id: string }): Promise<PriceView> {
    return this.prices.read(id);
  }
}
