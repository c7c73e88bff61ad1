import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import { CurrentActor, type Actor } from '../auth/operator.js';
import type { Page } from '../http/page.js';
import {
  createModelSchema,
  listModelsSchema,
  modelParameters,
  type CreateModel,
  type ListModels,
  type ModelView,
} from './model.schema.js';
import { ModelsService } from './models.service.js';

@Controller('models')
export class ModelsController {
  constructor(private readonly models: ModelsService) {}

  @Post()
  create(
    @CurrentActor() actor: Actor,
    @Body({ schema: createModelSchema }) asked: CreateModel,
  ): Promise<ModelView> {
    return this.models.create(actor, asked);
  }

  @Get()
  list(@Query({ schema: listModelsSchema }) asked: ListModels): Promise<Page<ModelView>> {
    return this.models.list(asked);
  }

  /** Model ids may hold slashes: they come percent-encoded. */
  @Get(':id')
  read(@Param({ schema: modelParameters }) { id }: { id: string }): Promise<ModelView> {
    return this.models.read(id);
  }
}
