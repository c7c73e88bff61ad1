import { Controller, HttpCode, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { readChat } from '../relay/api-request.js';
import { RelayService } from '../relay/relay.service.js';

@Controller('v1/chat/completions')
export class ChatCompletionsController {
  constructor(private readonly relay: RelayService) {}

  @Post()
  @HttpCode(200)
  create(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    return this.relay.serve(request, reply, readChat);
  }
}
