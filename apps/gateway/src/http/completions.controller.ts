import { Controller, HttpCode, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { readCompletion } from '../relay/api-request.js';
import { RelayService } from '../relay/relay.service.js';

@Controller('v1/completions')
export class CompletionsController {
  constructor(private readonly relay: RelayService) {}

  @Post()
  @HttpCode(200)
  create(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    return this.relay.serve(request, reply, readCompletion);
  }
}
