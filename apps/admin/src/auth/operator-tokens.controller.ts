import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { IfMatch, type Precondition, type Tagged } from '../http/etag.js';
import { idParameters } from '../http/fields.js';
import { Answers } from '../http/openapi.js';
import type { Page } from '../http/page.js';
import {
  createOperatorTokenSchema,
  createdOperatorTokenSchema,
  listOperatorTokensSchema,
  operatorTokenSchema,
  patchOperatorTokenSchema,
  type CreateOperatorToken,
  type CreatedOperatorTokenView,
  type ListOperatorTokens,
  type OperatorTokenView,
  type PatchOperatorToken,
} from './operator-token.schema.js';
import { OperatorTokensService } from './operator-tokens.service.js';
import { CurrentActor, type Actor } from './operator.js';

@Controller('operator-tokens')
export class OperatorTokensController {
  constructor(private readonly tokens: OperatorTokensService) {}

  @Answers(createdOperatorTokenSchema, { etag: true, problems: ['name_taken'] })
  @Post()
  create(
    @CurrentActor() actor: Actor,
    @Body({ schema: createOperatorTokenSchema }) asked: CreateOperatorToken,
  ): Promise<Tagged<CreatedOperatorTokenView>> {
    return this.tokens.create(actor, asked);
  }

  @Answers(operatorTokenSchema, { page: true })
  @Get()
  list(
    @Query({ schema: listOperatorTokensSchema }) asked: ListOperatorTokens,
  ): Promise<Page<OperatorTokenView>> {
    return this.tokens.list(asked);
  }

  @Answers(operatorTokenSchema, { etag: true })
  @Get(':id')
  read(@Param({ schema: idParameters }) { id }: { id: string }): Promise<Tagged<OperatorTokenView>> {
    return this.tokens.read(id);
  }

  @Answers(operatorTokenSchema, {
    etag: true,
    problems: ['name_taken', 'already_revoked', 'last_full_access'],
  })
  @Patch(':id')
  patch(
    @CurrentActor() actor: Actor,
    @Param({ schema: idParameters }) { id }: { id: string },
    @Body({ schema: patchOperatorTokenSchema }) asked: PatchOperatorToken,
    @IfMatch() precondition: Precondition,
  ): Promise<Tagged<OperatorTokenView>> {
    return this.tokens.patch(actor, { id, precondition }, asked);
  }

  @Answers(null, { problems: ['last_full_access'] })
  @Delete(':id')
  @HttpCode(204)
  revoke(
    @CurrentActor() actor: Actor,
    @Param({ schema: idParameters }) { id }: { id: string },
    @IfMatch() precondition: Precondition,
  ): Promise<void> {
    return this.tokens.revoke(actor, { id, precondition });
  }
}
