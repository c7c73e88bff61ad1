import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Health, NestLogger, createLogger, type RunningProcess } from '@tollgate/runtime';
import type { BillingConfig } from './billing.config.js';
import { BillingModule } from './billing.module.js';

/** A batch takes milliseconds; this is for a Postgres that hangs. */
const DRAIN_TIMEOUT_MS = 30_000;

/** Starts billing and resolves once it takes events off the queue and its health can be asked. */
export async function bootBilling(config: BillingConfig): Promise<RunningProcess> {
  const logger = createLogger('billing', config.LOG_LEVEL);
  const health = new Health();
  const adapter = new FastifyAdapter({ forceCloseConnections: true, logger: false });
  const app = await NestFactory.create<NestFastifyApplication>(
    BillingModule.with({ config, logger, health }),
    adapter,
    { bodyParser: false, logger: new NestLogger(logger), abortOnError: false },
  );
  health.serve(adapter.getInstance());
  await app.listen(config.PORT, config.HOST);
  logger.info({ url: await app.getUrl() }, 'listening');
  return { app, health, logger, drainTimeoutMs: DRAIN_TIMEOUT_MS };
}
