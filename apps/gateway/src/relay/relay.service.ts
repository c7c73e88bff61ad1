import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from '../http/authentication.js';
import { ClientConnection } from '../http/client-connection.js';
import { relay, type RelaySteps } from './relay.js';

/** Token of the steps that requests are relayed by. */
export const RELAY_STEPS = Symbol('RELAY_STEPS');

const EMPTY_BODY = Buffer.alloc(0);

/** Takes requests out of Fastify's hands and into the relay. */
@Injectable()
export class RelayService {
  constructor(@Inject(RELAY_STEPS) private readonly steps: RelaySteps) {}

  chat(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const arrival = {
      requestId: request.id,
      caller: callerOf(request),
      contentType: request.headers['content-type'],
      body: Buffer.isBuffer(request.body) ? request.body : EMPTY_BODY,
      client: new ClientConnection(reply),
      startedAtMs: request.startedAtMs,
    };
    return relay(arrival, this.steps);
  }
}
