import assert from 'node:assert/strict';
import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { DialectChoice } from '../dialects/dialect-choice.js';
import { callerOf } from '../http/authentication.js';
import { clientTimeoutMs } from '../http/client-timeout.js';
import { ClientConnection } from '../http/client-connection.js';
import type { ApiParser } from './api-request.js';
import { relay, type RelaySteps } from './relay.js';

/** Token of the steps that requests are relayed by. */
export const RELAY_STEPS = Symbol('RELAY_STEPS');

const EMPTY_BODY = Buffer.alloc(0);

/** The features that a client asks OpenAI for; a list that came in several headers is one. */
function betaFeatures(header: string | string[] | undefined): string | null {
  const features = Array.isArray(header) ? header.join(', ') : header;
  return features === undefined || features === '' ? null : features;
}

/** Takes requests out of Fastify's hands and into the relay. */
@Injectable()
export class RelayService {
  constructor(
    @Inject(RELAY_STEPS) private readonly steps: RelaySteps,
    @Inject(DialectChoice) private readonly dialects: DialectChoice,
  ) {}

  serve(request: FastifyRequest, reply: FastifyReply, parse: ApiParser): Promise<void> {
    const { observed } = request;
    assert(observed !== null, 'every request to the API is observed');
    const arrival = {
      parse,
      observed,
      requestId: request.id,
      caller: callerOf(request),
      dialect: this.dialects.of(request),
      contentType: request.headers['content-type'],
      body: Buffer.isBuffer(request.body) ? request.body : EMPTY_BODY,
      client: new ClientConnection(reply),
      startedAtMs: request.startedAtMs,
      clientTimeoutMs: clientTimeoutMs(request.headers),
      pathModel: request.pathModel,
      betaFeatures: betaFeatures(request.headers['openai-beta']),
    };
    return relay(arrival, this.steps);
  }
}
