import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import {
  Health,
  NestLogger,
  ProcessMetrics,
  assertRedisUsable,
  createLogger,
  serveMetrics,
  startTracing,
  type RunningProcess,
} from '@tollgate/runtime';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { v7 as uuidv7 } from 'uuid';
import { CallerCache } from './auth/caller-cache.js';
import { DialectChoice } from './dialects/dialect-choice.js';
import type { GatewayConfig } from './gateway.config.js';
import { GatewayModule } from './gateway.module.js';
import { admitRequests, rewriteUrl } from './http/admission.js';
import { KEEP_ALIVE_TIMEOUT_MS, PARAM_LENGTH_MAX, REQUEST_TIMEOUT_MS } from './http/gateway-limits.js';
import { HTTP_SERVER_OPTIONS, prepareServer } from './http/http-server.js';
import { answerMalformedRequest } from './http/malformed-request.js';
import { OpenAiErrorFilter } from './http/openai-error.filter.js';
import { readBodiesAsBuffers } from './http/request-body.js';
import { addAnswerHeaders, answerHeaders } from './http/response-head.js';
import { LiveHolds } from './hold/live-holds.js';
import { GATEWAY_JOURNAL, JOURNAL_CHECK } from './gateway-journal.js';
import type { JournalCheck } from './journal/journal-check.js';
import type { Journal } from './journal/journal.js';
import { InFlightLimit } from './limits/in-flight-limit.js';
import { EVENT_BUFFER_MAX, UsagePublisher } from './metering/usage-publisher.js';
import { GatewayError } from './relay/gateway-errors.js';
import { GatewayMetrics } from './telemetry/gateway-metrics.js';
import type { JournalFigures } from './telemetry/journal-metrics.js';
import { Telemetry } from './telemetry/telemetry.js';

const PROCESS_NAME = 'gateway';

const WELCOME = 'This is a Tollgate gateway: an OpenAI-compatible API under /v1.';

/** Streams may take a minute to end, then their usage events have to be accepted. */
const DRAIN_TIMEOUT_MS = 75_000;

/** Starts the gateway and resolves once it listens. */
export async function bootGateway(config: GatewayConfig): Promise<RunningProcess> {
  const logger = createLogger(PROCESS_NAME, config.LOG_LEVEL);
  const health = new Health();
  await assertRedisUsable({ url: config.REDIS_URL, logger });
  const processMetrics = new ProcessMetrics(PROCESS_NAME, health);
  const metrics = new GatewayMetrics(processMetrics);
  const tracing = await startTracing({ name: PROCESS_NAME, config, logger });
  const errors = new OpenAiErrorFilter(logger, new DialectChoice(config.DIALECT_HOSTS), metrics);
  const adapter = createAdapter(errors);
  const app = await NestFactory.create<NestFastifyApplication>(
    GatewayModule.with({ config, logger, health, processMetrics, metrics }),
    adapter,
    { bodyParser: false, logger: new NestLogger(logger), abortOnError: false },
  );
  app.useGlobalFilters(errors);
  const fastify = adapter.getInstance<FastifyInstance>();
  prepareServer(fastify.server);
  readBodiesAsBuffers(fastify);
  admitRequests(fastify, {
    callers: app.get(CallerCache),
    logger,
    telemetry: new Telemetry(metrics, tracing, config),
  });
  addAnswerHeaders(fastify);
  health.serve(fastify);
  serveMetrics(fastify, processMetrics, { token: config.METRICS_TOKEN, refuse: refuseMetrics });
  watchParts(metrics, app);
  // Runs when the last usage event is accepted, so that the last span is over too.
  fastify.addHook('onClose', () => tracing.stop());
  // Some clients ask the bare host whether anybody is there before they send anything (HEAD comes with GET).
  fastify.get('/', (_request, reply) => reply.send({ message: WELCOME }));
  await app.listen(config.PORT, config.HOST);
  logger.info({ url: await app.getUrl() }, 'listening');
  return { app, health, logger, drainDelayMs: config.DRAIN_DELAY_MS, drainTimeoutMs: DRAIN_TIMEOUT_MS };
}

function refuseMetrics(reason: 'unauthorized' | 'hidden', { method, url }: FastifyRequest): GatewayError {
  if (reason === 'unauthorized') return new GatewayError('invalid_metrics_token');
  return new GatewayError('unknown_url', { method, path: url.split('?', 1)[0] ?? '' });
}

/** What the parts hold is asked for with each scrape. */
function watchParts(metrics: GatewayMetrics, app: NestFastifyApplication): void {
  const [limit, holds, publisher] = [app.get(InFlightLimit), app.get(LiveHolds), app.get(UsagePublisher)];
  const journal: Journal | null = app.get(GATEWAY_JOURNAL);
  const check: JournalCheck | null = app.get(JOURNAL_CHECK);
  metrics.watch({
    requestsInFlight: () => limit.inFlight,
    liveHolds: () => holds.count,
    bufferedEvents: () => publisher.bufferedEvents,
    bufferedEventsMax: EVENT_BUFFER_MAX,
    journal: () => figuresOf(journal, check),
  });
}

function figuresOf(journal: Journal | null, check: JournalCheck | null): JournalFigures | null {
  if (journal === null || check === null) return null;
  const { book, isWritable } = journal;
  return {
    isWritable,
    segments: book.segmentCount,
    bytes: book.bytes,
    unknownEvents: book.unknownEvents,
    oldestUnknownSeconds: book.oldestUnknownMs / 1_000,
    adoptedFolders: check.adoptedFolders,
    damagedLines: check.damagedLines,
  };
}

function createAdapter(errors: OpenAiErrorFilter): FastifyAdapter {
  return new FastifyAdapter({
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    // What still comes on open connections is refused in OpenAI's form, as whatever else cannot be served.
    return503OnClosing: false,
    http: HTTP_SERVER_OPTIONS,
    rewriteUrl,
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
    genReqId: () => uuidv7(),
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
      // Fastify refuses these before any hook runs, and without what the hooks would have added.
      Object.assign(request, { caller: null, keyPlace: 'nowhere', pathModel: null, observed: null });
      void reply.headers(answerHeaders({ requestId: request.id, processingMs: 0, accountId: null }));
      errors.answer(error, request, reply);
    },
    clientErrorHandler: answerMalformedRequest,
    logger: false,
  });
}
