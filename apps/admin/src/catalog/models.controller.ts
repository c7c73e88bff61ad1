import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { CurrentActor, type Actor } from '../auth/operator.js';
import { Answers } from '../http/openapi.js';
import { IfMatch, type Precondition, type Tagged } from '../http/etag.js';
import type { Page } from '../http/page.js';
import {
  createModelSchema,
  listModelsSchema,
  modelParameters,
  modelSchema,
  patchModelSchema,
  type CreateModel,
  type ListModels,
  type ModelView,
  type PatchModel,
} from './model.schema.js';
import { ModelsService } from './models.service.js';

/** Model ids may hold slashes: in a path they come percent-encoded. */
@Controller('models')
export class ModelsController {
  constructor(private readonly models: ModelsService) {}

  @Post()
  @Answers(modelSchema, { etag: true, problems: ['name_taken'] })
  create(
    @CurrentActor() actor: Actor,
    @Body({ schema: createModelSchema }) asked: CreateModel,
  ): Promise<Tagged<ModelView>> {
    return this.models.create(actor, asked);
  }

  @Get()
  @Answers(modelSchema, { page: true })
  list(@Query({ schema: listModelsSchema }) asked: ListModels): Promise<Page<ModelView>> {
    return this.models.list(asked);
  }

  @Get(':id')
  @Answers(modelSchema, { etag: true })
  read(@Param({ schema: modelParameters }) { id }: { id: string }): Promise<Tagged<ModelView>> {
    return this.models.read(id);
  }

  @Patch(':id')
  @Answers(modelSchema, { etag: true })
  patch(
    @CurrentActor() actor: Actor,
    @Param({ schema: modelParameters }) { id }: { id: string },
    @Body({ schema: patchModelSchema }) asked: PatchModel,
    @IfMatch() precondition: Precondition,
  ): Promise<Tagged<ModelView>> {
    return this.models.patch(actor, { id, precondition }, asked);
  }

  @Delete(':id')
  @HttpCode(204)
  @Answers(null, { problems: ['in_use'] })
  delete(
    @CurrentActor() actor: Actor,
    @Param({ schema: modelParameters }) { id }: { id: string },
    @IfMatch() precondition: Precondition,
  ): Promise<void> {
    return this.models.delete(actor, { id, precondition });
  }
}
