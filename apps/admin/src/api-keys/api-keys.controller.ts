import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { CurrentActor, type Actor } from '../auth/operator.js';
import { IfMatch, type Precondition, type Tagged } from '../http/etag.js';
import { idParameters } from '../http/fields.js';
import { Answers } from '../http/openapi.js';
import type { Page } from '../http/page.js';
import {
  apiKeySchema,
  createApiKeySchema,
  createdApiKeySchema,
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

  @Answers(createdApiKeySchema, { etag: true, problems: ['external_id_taken'] })
  @Post('accounts/:id/api-keys')
  create(
    @CurrentActor() actor: Actor,
    @Param({ schema: idParameters }) { id }: { id: string },
    @Body({ schema: createApiKeySchema }) asked: CreateApiKey,
  ): Promise<Tagged<CreatedApiKeyView>> {
    return this.apiKeys.create(actor, id, asked);
  }

  @Answers(apiKeySchema, { page: true })
  @Get('accounts/:id/api-keys')
  listOfAccount(
    @Param({ schema: idParameters }) { id }: { id: string },
    @Query({ schema: listAccountApiKeysSchema }) asked: ListAccountApiKeys,
  ): Promise<Page<ApiKeyView>> {
    return this.apiKeys.listOfAccount(id, asked);
  }

  @Answers(apiKeySchema, { page: true })
  @Get('api-keys')
  list(@Query({ schema: listApiKeysSchema }) asked: ListApiKeys): Promise<Page<ApiKeyView>> {
    return this.apiKeys.list(asked);
  }

  @Answers(apiKeySchema, { etag: true })
  @Get('api-keys/:id')
  read(@Param({ schema: idParameters }) { id }: { id: string }): Promise<Tagged<ApiKeyView>> {
    return this.apiKeys.read(id);
  }

  @Answers(apiKeySchema, { etag: true, problems: ['already_revoked', 'external_id_taken'] })
  @Patch('api-keys/:id')
  patch(
    @CurrentActor() actor: Actor,
    @Param({ schema: idParameters }) { id }: { id: string },
    @Body({ schema: patchApiKeySchema }) asked: PatchApiKey,
    @IfMatch() precondition: Precondition,
  ): Promise<Tagged<ApiKeyView>> {
    return this.apiKeys.patch(actor, { id, precondition }, asked);
  }

  @Answers(null)
  @Delete('api-keys/:id')
  @HttpCode(204)
  revoke(
    @CurrentActor() actor: Actor,
    @Param({ schema: idParameters }) { id }: { id: string },
    @IfMatch() precondition: Precondition,
  ): Promise<void> {
    return this.apiKeys.revoke(actor, { id, precondition });
  }
}
