import { Body, Controller, Get, Param, Patch, Post, Query } from '@nestjs/common';
import { CurrentActor, type Actor } from '../auth/operator.js';
import { IfMatch, type Precondition, type Tagged } from '../http/etag.js';
import { idParameters } from '../http/fields.js';
import { Answers } from '../http/openapi.js';
import type { Page } from '../http/page.js';
import {
  accountSchema,
  createAccountSchema,
  listAccountsSchema,
  patchAccountSchema,
  type AccountView,
  type CreateAccount,
  type ListAccounts,
  type PatchAccount,
} from './account.schema.js';
import { AccountsService } from './accounts.service.js';

@Controller('accounts')
export class AccountsController {
  constructor(private readonly accounts: AccountsService) {}

  @Answers(accountSchema, { etag: true, problems: ['external_id_taken', 'would_break_floor'] })
  @Post()
  create(
    @CurrentActor() actor: Actor,
    @Body({ schema: createAccountSchema }) asked: CreateAccount,
  ): Promise<Tagged<AccountView>> {
    return this.accounts.create(actor, asked);
  }

  @Answers(accountSchema, { page: true })
  @Get()
  list(@Query({ schema: listAccountsSchema }) asked: ListAccounts): Promise<Page<AccountView>> {
    return this.accounts.list(asked);
  }

  @Answers(accountSchema, { etag: true })
  @Get(':id')
  read(@Param({ schema: idParameters }) { id }: { id: string }): Promise<Tagged<AccountView>> {
    return this.accounts.read(id);
  }

  @Answers(accountSchema, { etag: true, problems: ['external_id_taken', 'would_break_floor'] })
  @Patch(':id')
  patch(
    @CurrentActor() actor: Actor,
    @Param({ schema: idParameters }) { id }: { id: string },
    @Body({ schema: patchAccountSchema }) asked: PatchAccount,
    @IfMatch() precondition: Precondition,
  ): Promise<Tagged<AccountView>> {
    return this.accounts.patch(actor, { id, precondition }, asked);
  }
}
