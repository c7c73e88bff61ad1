import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Health, NestLogger, createLogger, type RunningProcess } from '@tollgate/runtime';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { v7 as uuidv7 } from 'uuid';
import { CallerCache } from './auth/caller-cache.js';
import type { GatewayConfig } from './gateway.config.js';
import { GatewayModule } from './gateway.module.js';
import { authenticateRequests } from './http/authentication.js';
import {
  BODY_BYTES_MAX,
  HEADER_BYTES_MAX,
  KEEP_ALIVE_TIMEOUT_MS,
  PARAM_LENGTH_MAX,
  REQUEST_TIMEOUT_MS,
} from './http/gateway-limits.js';
import { answerMalformedRequest } from './http/malformed-request.js';
import { OpenAiErrorFilter } from './http/openai-error.filter.js';

/** Streams may take a minute to end, then their usage events have to be accepted. */
const DRAIN_TIMEOUT_MS = 75_000;

/** Starts the gateway and resolves once it listens. */
export async function bootGateway(config: GatewayConfig): Promise<RunningProcess> {
  const logger = createLogger('gateway', config.LOG_LEVEL);
  const health = new Health();
  const errors = new OpenAiErrorFilter(logger);
  const adapter = createAdapter(errors);
  const app = await NestFactory.create<NestFastifyApplication>(
    GatewayModule.with({ config, logger, health }),
    adapter,
    { bodyParser: false, logger: new NestLogger(logger), abortOnError: false },
  );
  app.useGlobalFilters(errors);
  const fastify = adapter.getInstance<FastifyInstance>();
  readBodiesAsBuffers(fastify);
  authenticateRequests(fastify, app.get(CallerCache));
  health.serve(fastify);
  await app.listen(config.PORT, config.HOST);
  logger.info({ url: await app.getUrl() }, 'listening');
  return { app, health, logger, drainTimeoutMs: DRAIN_TIMEOUT_MS };
}

function createAdapter(errors: OpenAiErrorFilter): FastifyAdapter {
  return new FastifyAdapter({
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    http: { maxHeaderSize: HEADER_BYTES_MAX },
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
    genReqId: () => uuidv7(),
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
      errors.answer(error, request, reply);
    },
    clientErrorHandler: answerMalformedRequest,
    logger: false,
  });
}

/** One parser for every content type: what a body means is decided after authentication, in one place. */
function readBodiesAsBuffers(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: BODY_BYTES_MAX },
    (_request, body, done) => {
      done(null, body);
    },
  );
}
