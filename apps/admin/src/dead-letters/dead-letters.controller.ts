import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { CurrentActor, type Actor } from '../auth/operator.js';
import { Answers } from '../http/openapi.js';
import type { Page } from '../http/page.js';
import {
  correctDeadLetterSchema,
  deadLetterParameters,
  deadLetterSchema,
  discardDeadLetterSchema,
  listDeadLettersSchema,
  readDeadLetterSchema,
  replayAnswerSchema,
  replayDeadLettersSchema,
  replaysAnswerSchema,
  type CorrectDeadLetter,
  type DeadLetterView,
  type ListDeadLetters,
  type ReadDeadLetterView,
  type ReplayAnswer,
  type ReplayDeadLetters,
  type ReplaysAnswer,
} from './dead-letter.schema.js';
import { DeadLetterReads } from './dead-letter-reads.js';
import { DeadLettersService } from './dead-letters.service.js';

/** Replaying and discarding are decided once for each dead letter, so neither needs an Idempotency-Key. */
@Controller()
export class DeadLettersController {
  constructor(
    private readonly reads: DeadLetterReads,
    private readonly deadLetters: DeadLettersService,
  ) {}

  @Answers(deadLetterSchema, { page: true })
  @Get('dead-letters')
  list(@Query({ schema: listDeadLettersSchema }) asked: ListDeadLetters): Promise<Page<DeadLetterView>> {
    return this.reads.list(asked);
  }

  @Answers(readDeadLetterSchema)
  @Get('dead-letters/:id')
  read(@Param({ schema: deadLetterParameters }) { id }: { id: string }): Promise<ReadDeadLetterView> {
    return this.reads.read(id);
  }

  @Answers(replayAnswerSchema, { status: 200, problems: ['dead_letter_resolved'] })
  @Post('dead-letters/:id/replay')
  @HttpCode(200)
  replay(
    @CurrentActor() actor: Actor,
    @Param({ schema: deadLetterParameters }) { id }: { id: string },
  ): Promise<ReplayAnswer> {
    return this.deadLetters.replay(actor, id);
  }

  @Answers(replayAnswerSchema, { status: 200, problems: ['dead_letter_resolved'] })
  @Post('dead-letters/:id/correct')
  @HttpCode(200)
  correct(
    @CurrentActor() actor: Actor,
    @Param({ schema: deadLetterParameters }) { id }: { id: string },
    @Body({ schema: correctDeadLetterSchema }) asked: CorrectDeadLetter,
  ): Promise<ReplayAnswer> {
    return this.deadLetters.correct(actor, id, asked);
  }

  /** The path is `/dead-letters:replay`: two colons are one in the router's syntax. */
  @Answers(replaysAnswerSchema, { id: 'replayDeadLetters', status: 200 })
  @Post('dead-letters::replay')
  @HttpCode(200)
  replayAll(
    @CurrentActor() actor: Actor,
    @Body({ schema: replayDeadLettersSchema }) asked: ReplayDeadLetters,
  ): Promise<ReplaysAnswer> {
    return this.deadLetters.replayAll(actor, asked);
  }

  @Answers(deadLetterSchema, { status: 200, problems: ['dead_letter_resolved', 'request_running'] })
  @Post('dead-letters/:id/discard')
  @HttpCode(200)
  discard(
    @CurrentActor() actor: Actor,
    @Param({ schema: deadLetterParameters }) { id }: { id: string },
    @Body({ schema: discardDeadLetterSchema }) { note }: { note: string },
  ): Promise<DeadLetterView> {
    return this.deadLetters.discard(actor, id, note);
  }
}
