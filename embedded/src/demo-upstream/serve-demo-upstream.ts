import { createLogger, loadConfig, portSchema, processConfigSchema } from '@tollgate/runtime';
import { z } from 'zod';
import { startDemoUpstream } from './demo-upstream.js';

const configSchema = processConfigSchema.extend({
  PORT: portSchema.default(8083),
  DEMO_UPSTREAM_SECRET: z.string().min(16, 'must have at least 16 characters'),
  DEMO_PIECE_DELAY_MS: z.coerce.number().int().min(0).max(10_000).default(10),
});

const DRAIN_TIMEOUT_MS = 10_000;

/** Runs the demo upstream as a process of its own, until it is told to stop or its parent is gone. */
export async function serveDemoUpstream(): Promise<void> {
  const config = loadConfig(configSchema);
  const logger = createLogger('demo-upstream', config.LOG_LEVEL);
  const server = await startDemoUpstream({
    host: config.HOST,
    port: config.PORT,
    secret: config.DEMO_UPSTREAM_SECRET,
    pieceDelayMs: config.DEMO_PIECE_DELAY_MS,
  });
  logger.info({ host: config.HOST, port: config.PORT }, 'listening');
  const stop = (): void => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
    setTimeout(() => process.exit(0), DRAIN_TIMEOUT_MS).unref();
  };
  for (const event of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.once(event, stop);
}
