import { createLogger, loadConfig, portSchema, processConfigSchema } from '@tollgate/runtime';
import { demoSettings } from './demo-settings.js';
import { startDemoUpstream } from './demo-upstream.js';

const configSchema = processConfigSchema.extend({
  PORT: portSchema.default(8083),
  ...demoSettings,
});

const DRAIN_TIMEOUT_MS = 10_000;

/** Runs the demo upstream as a process of its own, until it is told to stop or its parent is gone. */
export async function serveDemoUpstream(): Promise<void> {
  const config = loadConfig(configSchema);
  const logger = createLogger('demo-upstream', config.LOG_LEVEL);
  const server = await startDemoUpstream({
    host: config.HOST,
    port: config.PORT,
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
