import { setTimeout as delay } from 'node:timers/promises';
import type { INestApplicationContext } from '@nestjs/common';
import { ConfigError, EXIT_CONFIG } from './config.js';
import type { Health } from './health.js';
import { createLogger, type Logger } from './logger.js';
import { RedisError } from './redis-check.js';

/** A process that is up. */
export interface RunningProcess {
  readonly app: INestApplicationContext;
  readonly health: Health;
  readonly logger: Logger;
  /** How long it goes on serving after it was told to stop, not ready any more. */
  readonly drainDelayMs: number;
  /** How long the stop after that may take before the process leaves without waiting further. */
  readonly drainTimeoutMs: number;
}

/** The process stopped in order. */
const EXIT_OK = 0;
/** The process could not start, or could not stop in order. */
const EXIT_FAILED = 1;

/**
 * Starts a process and stops it in order on SIGTERM, SIGINT, and when a parent that spawned it with an IPC channel is
 * gone: readiness turns to 503 at once, after the drain delay Nest's shutdown hooks run, then it exits. A process that
 * cannot start says why in one line and exits with 1, or with 78 if its environment is what keeps it from it.
 */
export function runProcess(name: string, boot: () => Promise<RunningProcess>): void {
  // A configuration that is refused before the first promise counts like one that is refused later.
  Promise.resolve()
    .then(boot)
    .then(
      (running) => {
        let stopping = false;
        const stop = (reason: string): void => {
          if (stopping) return;
          stopping = true;
          void stopProcess(running, reason);
        };
        process.on('SIGTERM', () => stop('SIGTERM'));
        process.on('SIGINT', () => stop('SIGINT'));
        process.on('disconnect', () => stop('the parent process is gone'));
        // The parent can die while this process is still starting: then no disconnect event will follow.
        if (process.channel === undefined && process.send !== undefined) stop('the parent process is gone');
      },
      (error: unknown) => {
        const logger = createLogger(name);
        if (error instanceof ConfigError || error instanceof RedisError) logger.fatal(error.message);
        else logger.fatal({ err: error }, 'could not start');
        const code = error instanceof ConfigError ? EXIT_CONFIG : EXIT_FAILED;
        process.exitCode = code;
        setImmediate(() => process.exit(code));
      },
    );
}

async function stopProcess(running: RunningProcess, reason: string): Promise<void> {
  const { app, health, logger, drainDelayMs, drainTimeoutMs } = running;
  logger.info({ reason, drainDelayMs }, 'stopping');
  health.drain();
  await delay(drainDelayMs);
  const deadline = setTimeout(() => {
    logger.error({ drainTimeoutMs }, 'did not stop in time, leaving');
    process.exit(EXIT_FAILED);
  }, drainTimeoutMs);
  try {
    await app.close();
    clearTimeout(deadline);
    logger.info('stopped');
    process.exit(EXIT_OK);
  } catch (error) {
    logger.error({ err: error }, 'could not stop in order');
    process.exit(EXIT_FAILED);
  }
}
