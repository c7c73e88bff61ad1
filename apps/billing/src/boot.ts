import { NotFoundException, UnauthorizedException } from '@nestjs/common';
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
import type { BillingConfig } from './billing.config.js';
import { BillingModule } from './billing.module.js';
import { BillingMetrics } from './telemetry/billing-metrics.js';

const PROCESS_NAME = 'billing';

/** A batch takes milliseconds; this is for a Postgres that hangs. */
const DRAIN_TIMEOUT_MS = 30_000;

/** Starts billing and resolves once it takes events off the queue and its health can be asked. */
export async function bootBilling(config: BillingConfig): Promise<RunningProcess> {
  const logger = createLogger(PROCESS_NAME, config.LOG_LEVEL);
  const health = new Health();
  await assertRedisUsable({ url: config.REDIS_URL, logger });
  const processMetrics = new ProcessMetrics(PROCESS_NAME, health);
  const metrics = new BillingMetrics(processMetrics);
  const tracing = await startTracing({ name: PROCESS_NAME, config, logger });
  const adapter = new FastifyAdapter({ forceCloseConnections: true, logger: false });
  const app = await NestFactory.create<NestFastifyApplication>(
    BillingModule.with({ config, logger, health, processMetrics, metrics, tracing }),
    adapter,
    { bodyParser: false, logger: new NestLogger(logger), abortOnError: false },
  );
  const fastify = adapter.getInstance();
  health.serve(fastify);
  serveMetrics(fastify, processMetrics, {
    token: config.METRICS_TOKEN,
    refuse: (reason) =>
      reason === 'unauthorized'
        ? new UnauthorizedException('Send the metrics token: "Authorization: Bearer <METRICS_TOKEN>".')
        : new NotFoundException('Cannot GET /metrics'),
  });
  // Runs when the last job is settled, so that the last span is over too.
  fastify.addHook('onClose', () => tracing.stop());
  await app.listen(config.PORT, config.HOST);
  logger.info({ url: await app.getUrl() }, 'listening');
  return { app, health, logger, drainDelayMs: config.DRAIN_DELAY_MS, drainTimeoutMs: DRAIN_TIMEOUT_MS };
}
