import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { CurrentActor, type Actor } from '../auth/operator.js';
import { idParameters } from '../http/fields.js';
import type { Page } from '../http/page.js';
import {
  createApiKeySchema,
  listAccountApiKeysSchema,
  listApiKeysSchema,
  patchApiKeySchema,
  type ApiKeyView,
  type CreateApiKey,
  type CreatedApiKeyView,
  type ListAccountApiKeys,
  type ListApiKeys,
  type PatchApiKey,
} from './api-key.schema.js';
import { ApiKeysService } from './api-keys.service.js';

@Controller()
export class ApiKeysController {
  constructor(private readonly apiKeys: ApiKeysService) {}

  @Post('accounts/:id/api-keys')
  create(
    @CurrentActor() actor: Actor,
    @Param({ schema: idParameters }) { id }: { id: string },
    @Body({ schema: createApiKeySchema }) asked: CreateApiKey,
  ): Promise<CreatedApiKeyView> {
    return this.apiKeys.create(actor, id, asked);
  }

  @Get('accounts/:id/api-keys')
  listOfAccount(
    @Param({ schema: idParameters }) { id }: { id: string },
    @Query({ schema: listAccountApiKeysSchema }) asked: ListAccountApiKeys,
  ): Promise<Page<ApiKeyView>> {
    return this.apiKeys.listOfAccount(id, asked);
  }

  @Get('api-keys')
  list(@Query({ schema: listApiKeysSchema }) asked: ListApiKeys): Promise<Page<ApiKeyView>> {
    return this.apiKeys.list(asked);
  }

  @Get('api-keys/:id')
  read(@Param({ schema: idParameters }) { id }: { id: string }): Promise<ApiKeyView> {
    return this.apiKeys.read(id);
  }

  @Patch('api-keys/:id')
  patch(
    @CurrentActor() actor: Actor,
    @Param({ schema: idParameters }) { id }: { id: string },
    @Body({ schema: patchApiKeySchema }) asked: PatchApiKey,
  ): Promise<ApiKeyView> {
    return this.apiKeys.patch(actor, id, asked);
  }

  @Delete('api-keys/:id')
  @HttpCode(204)
  revoke(
    @CurrentActor() actor: Actor,
    @Param({ schema: idParameters }) { id }: { id: string },
  ): Promise<void> {
    return this.apiKeys.revoke(actor, id);
  }
}
