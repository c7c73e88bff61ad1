import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { assertMasterKey, assertSchemaVersion, createDataSource, createPool } from '@tollgate/persistence';
import {
  Health,
  NestLogger,
  ProcessMetrics,
  createLogger,
  loadConfig,
  serveMetrics,
  startTracing,
  type Logger,
  type RunningProcess,
} from '@tollgate/runtime';
import { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import { adminConfigSchema, type AdminConfig } from './admin.config.js';
import { AdminModule, type AdminParts } from './admin.module.js';
import { OperatorAuthenticator, authenticateOperators } from './auth/operator-authenticator.js';
import { createAdminAdapter, prepareFastify } from './http/admin-adapter.js';
import { KnownRoutes } from './http/known-routes.js';
import { Problem } from './http/problem.js';
import { ProblemFilter } from './http/problem.filter.js';
import { createAdminDocument } from './openapi/document.js';
import { serveDocument } from './openapi/pages.js';
import { AdminTelemetry } from './telemetry/admin-telemetry.js';

const PROCESS_NAME = 'admin';
const DRAIN_TIMEOUT_MS = 60_000;

/** Starts the admin process. @throws ConfigError, SchemaVersionError, or what keeps the port from being opened. */
export async function bootAdmin(
  config: AdminConfig = loadConfig(adminConfigSchema),
): Promise<RunningProcess> {
  const logger = createLogger(PROCESS_NAME, config.LOG_LEVEL);
  const health = new Health();
  const dataSource = await connect(config);
  const app = await createAdminApp({ config, dataSource, health }, logger);
  await app.listen(config.PORT, config.HOST);
  logger.info({ url: await app.getUrl() }, 'ready');
  return { app, health, logger, drainDelayMs: config.DRAIN_DELAY_MS, drainTimeoutMs: DRAIN_TIMEOUT_MS };
}

/** The application with everything in place but a port. It closes the data source when it closes. */
export async function createAdminApp(parts: AdminParts, logger: Logger): Promise<NestFastifyApplication> {
  const { config, dataSource, health } = parts;
  const metrics = new ProcessMetrics(PROCESS_NAME, health);
  const tracing = await startTracing({ name: PROCESS_NAME, config, logger });
  const telemetry = new AdminTelemetry(metrics, tracing, logger);
  const adapter = createAdminAdapter();
  const app = await NestFactory.create<NestFastifyApplication>(AdminModule.with(parts, telemetry), adapter, {
    bodyParser: false,
    logger: new NestLogger(logger),
    abortOnError: false,
  });
  const fastify = adapter.getInstance();
  const routes = new KnownRoutes();
  routes.watch(fastify);
  telemetry.watch(fastify, config);
  prepareFastify(fastify);
  authenticateOperators(fastify, app.get(OperatorAuthenticator));
  health.require('postgres', () => checkPostgres(dataSource));
  health.serve(fastify);
  serveMetrics(fastify, metrics, { token: config.METRICS_TOKEN, refuse: refuseMetrics });
  watchPool(metrics, dataSource);
  fastify.addHook('onClose', () => tracing.stop());
  serveDocument(fastify, () => createAdminDocument(app));
  app.useGlobalFilters(new ProblemFilter(routes, logger));
  app.setGlobalPrefix('admin/v1');
  return app;
}

async function connect(config: AdminConfig): Promise<DataSource> {
  const pool = createPool({ url: config.DATABASE_URL, max: 1, name: PROCESS_NAME });
  try {
    await assertSchemaVersion(pool);
    await assertMasterKey(pool, config.MASTER_KEY);
  } finally {
    await pool.end();
  }
  return connectDataSource(config);
}

function refuseMetrics(reason: 'unauthorized' | 'hidden'): Problem {
  if (reason === 'hidden') return new Problem('not_found', 'There is nothing at this path.');
  return new Problem(
    'invalid_metrics_token',
    'Send the metrics token, which is not an operator\'s: "Authorization: Bearer <METRICS_TOKEN>".',
    { headers: { 'www-authenticate': 'Bearer' } },
  );
}

/** TypeORM's driver for Postgres has pg's pool, and says so only in its documentation. */
function watchPool(metrics: ProcessMetrics, { driver }: DataSource): void {
  if ('master' in driver && driver.master instanceof Pool) metrics.watchPool(driver.master);
}

/** The database as handlers use it: no statement runs for ever. */
export function connectDataSource(config: AdminConfig): Promise<DataSource> {
  const { DATABASE_URL: url, STATEMENT_TIMEOUT_MS: statementTimeoutMs } = config;
  return createDataSource(url, { name: PROCESS_NAME, statementTimeoutMs }).initialize();
}

/** Readiness is public: why Postgres does not answer is for the log, not for strangers. */
async function checkPostgres(dataSource: DataSource): Promise<string | null> {
  try {
    await dataSource.query('SELECT 1');
    return null;
  } catch {
    return 'does not answer';
  }
}
