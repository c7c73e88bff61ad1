import { Body, Controller, Get, Param, Post, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { CurrentActor, type Actor } from '../auth/operator.js';
import { idParameters } from '../http/fields.js';
import type { Page } from '../http/page.js';
import { CreditsService } from './credits.service.js';
import { IdempotentCallOf, answerOnce, type IdempotentRequest } from './idempotent-request.js';
import {
  adjustmentSchema,
  listAccountTransfersSchema,
  listTransfersSchema,
  topUpSchema,
  type Adjustment,
  type ListAccountTransfers,
  type ListTransfers,
  type TopUp,
  type TransferView,
} from './transfer.schema.js';
import { TransfersService } from './transfers.service.js';

@Controller()
export class CreditsController {
  constructor(
    private readonly credits: CreditsService,
    private readonly transfers: TransfersService,
  ) {}

  @Post('accounts/:id/top-ups')
  async topUp(
    @Res({ passthrough: true }) reply: FastifyReply,
    @CurrentActor() actor: Actor,
    @Param({ schema: idParameters }) { id }: { id: string },
    @IdempotentCallOf('top-ups') request: IdempotentRequest,
    @Body({ schema: topUpSchema }) asked: TopUp,
  ): Promise<unknown> {
    const { amount: amountNano, ...explanation } = asked;
    const movement = { kind: 'top_up' as const, accountId: id, amountNano, ...explanation };
    return answerOnce(reply, await this.credits.move(actor, request, movement));
  }

  @Post('accounts/:id/adjustments')
  async adjust(
    @Res({ passthrough: true }) reply: FastifyReply,
    @CurrentActor() actor: Actor,
    @Param({ schema: idParameters }) { id }: { id: string },
    @IdempotentCallOf('adjustments') request: IdempotentRequest,
    @Body({ schema: adjustmentSchema }) asked: Adjustment,
  ): Promise<unknown> {
    const { amount: amountNano, ...movement } = asked;
    return answerOnce(
      reply,
      await this.credits.move(actor, request, { accountId: id, amountNano, ...movement }),
    );
  }

  @Get('accounts/:id/transfers')
  listOfAccount(
    @Param({ schema: idParameters }) { id }: { id: string },
    @Query({ schema: listAccountTransfersSchema }) asked: ListAccountTransfers,
  ): Promise<Page<TransferView>> {
    return this.transfers.listOfAccount(id, asked);
  }

  @Get('transfers')
  list(@Query({ schema: listTransfersSchema }) asked: ListTransfers): Promise<Page<TransferView>> {
    return this.transfers.list(asked);
  }
}
