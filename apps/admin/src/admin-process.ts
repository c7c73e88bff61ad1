import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { assertSchemaVersion, createDataSource, createPool } from '@tollgate/persistence';
import {
  Health,
  NestLogger,
  createLogger,
  loadConfig,
  type Logger,
  type RunningProcess,
} from '@tollgate/runtime';
import type { DataSource } from 'typeorm';
import { adminConfigSchema, type AdminConfig } from './admin.config.js';
import { AdminModule, type AdminParts } from './admin.module.js';
import { OperatorAuthenticator, authenticateOperators } from './auth/operator-authenticator.js';
import { createAdminAdapter, prepareFastify } from './http/admin-adapter.js';
import { KnownRoutes } from './http/known-routes.js';
import { ProblemFilter } from './http/problem.filter.js';

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
  return { app, health, logger, drainTimeoutMs: DRAIN_TIMEOUT_MS };
}

/** The application with everything in place but a port. It closes the data source when it closes. */
export async function createAdminApp(parts: AdminParts, logger: Logger): Promise<NestFastifyApplication> {
  const { dataSource, health } = parts;
  const adapter = createAdminAdapter();
  const app = await NestFactory.create<NestFastifyApplication>(AdminModule.with(parts), adapter, {
    bodyParser: false,
    logger: new NestLogger(logger),
    abortOnError: false,
  });
  const fastify = adapter.getInstance();
  const routes = new KnownRoutes();
  routes.watch(fastify);
  prepareFastify(fastify);
  authenticateOperators(fastify, app.get(OperatorAuthenticator));
  health.require('postgres', () => checkPostgres(dataSource));
  health.serve(fastify);
  app.useGlobalFilters(new ProblemFilter(routes, logger));
  app.setGlobalPrefix('admin/v1');
  return app;
}

async function connect(config: AdminConfig): Promise<DataSource> {
  const pool = createPool({ url: config.DATABASE_URL, max: 1, name: PROCESS_NAME });
  try {
    await assertSchemaVersion(pool);
  } finally {
    await pool.end();
  }
  return createDataSource(config.DATABASE_URL, { name: PROCESS_NAME }).initialize();
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
