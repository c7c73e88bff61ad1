import { Body, Controller, Get, Param, Patch, Post, Query } from '@nestjs/common';
import { CurrentActor, type Actor } from '../auth/operator.js';
import { idParameters } from '../http/fields.js';
import type { Page } from '../http/page.js';
import {
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

  @Post()
  create(
    @CurrentActor() actor: Actor,
    @Body({ schema: createAccountSchema }) asked: CreateAccount,
  ): Promise<AccountView> {
    return this.accounts.create(actor, asked);
  }

  @Get()
  list(@Query({ schema: listAccountsSchema }) asked: ListAccounts): Promise<Page<AccountView>> {
    return this.accounts.list(asked);
  }

  @Get(':id')
  read(@Param({ schema: idParameters }) { id }: { id: string }): Promise<AccountView> {
    return this.accounts.read(id);
  }

  @Patch(':id')
  patch(
    @CurrentActor() actor: Actor,
    @Param({ schema: idParameters }) { id }: { id: string },
    @Body({ schema: patchAccountSchema }) asked: PatchAccount,
  ): Promise<AccountView> {
    return this.accounts.patch(actor, id, asked);
  }
}
