import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import { CurrentActor, type Actor } from '../auth/operator.js';
import { idParameters } from '../http/fields.js';
import { Answers } from '../http/openapi.js';
import type { Page } from '../http/page.js';
import {
  createPriceSchema,
  createPricesSchema,
  listPricesSchema,
  priceSchema,
  pricesSchema,
  type CreatePrice,
  type CreatePrices,
  type ListPrices,
  type PriceView,
} from './price.schema.js';
import { PricesService } from './prices.service.js';

@Controller()
export class PricesController {
  constructor(private readonly prices: PricesService) {}

  @Answers(priceSchema, { problems: ['price_taken'] })
  @Post('prices')
  create(
    @CurrentActor() actor: Actor,
    @Body({ schema: createPriceSchema }) asked: CreatePrice,
  ): Promise<PriceView> {
    return this.prices.create(actor, asked);
  }

  /** The path is `/prices:batch`: two colons are one in the router's syntax. */
  @Answers(pricesSchema, { id: 'createPrices', problems: ['price_taken'] })
  @Post('prices::batch')
  createAll(
    @CurrentActor() actor: Actor,
    @Body({ schema: createPricesSchema }) asked: CreatePrices,
  ): Promise<{ data: PriceView[] }> {
    return this.prices.createAll(actor, asked.prices);
  }

  @Answers(priceSchema, { page: true })
  @Get('prices')
  list(@Query({ schema: listPricesSchema }) asked: ListPrices): Promise<Page<PriceView>> {
    return this.prices.list(asked);
  }

  @Answers(priceSchema)
  @Get('prices/:id')
  read(@Param({ schema: idParameters }) { id }: { id: string }): Promise<PriceView> {
    return this.prices.read(id);
  }
}
