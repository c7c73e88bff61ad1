import { Body, Controller, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { CurrentActor, type Actor } from '../auth/operator.js';
import { idParameters } from '../http/fields.js';
import { Answers } from '../http/openapi.js';
import { CreditsService } from './credits.service.js';
import { IdempotentCallOf, answerOnce, type IdempotentRequest } from './idempotent-request.js';
import {
  adjustmentSchema,
  moneyAnswerSchema,
  topUpSchema,
  type Adjustment,
  type TopUp,
} from './transfer.schema.js';

@Controller()
export class CreditsController {
  constructor(private readonly credits: CreditsService) {}

  @Answers(moneyAnswerSchema, { id: 'topUpAccount', problems: ['would_exceed_limit'] })
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

  @Answers(moneyAnswerSchema, { id: 'adjustAccount', problems: ['would_break_floor', 'would_exceed_limit'] })
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
}
