import type { LoggerService } from '@nestjs/common';
import { destination, pino, type DestinationStream, type Logger } from 'pino';
import { errorFields } from './logs/error-fields.js';
import { maskSecrets } from './logs/mask-secrets.js';

export type { Logger } from 'pino';

/**
 * A logger of one process: JSON lines on standard output with the process's name. Whatever looks like a secret is taken out
 * of each line as a whole, and of errors only a fixed choice of members is told. Still: never give it a prompt or a key.
 */
export function createLogger(
  name: string,
  level = 'info',
  output: DestinationStream = destination({ fd: 1, sync: true }),
): Logger {
  return pino(
    {
      name,
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: errorFields, error: errorFields, cause: errorFields },
    },
    { write: (line: string) => output.write(maskSecrets(line)) },
  );
}

/** What Nest logs, through the process's own logger. Its start-up chatter is worth a debug line. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown, context?: string): void {
    this.logger.debug({ context }, String(message));
  }

  error(message: unknown, ...details: unknown[]): void {
    this.logger.error({ details }, message instanceof Error ? message.message : String(message));
  }

  warn(message: unknown, context?: string): void {
    this.logger.warn({ context }, String(message));
  }

  debug(message: unknown, context?: string): void {
    this.logger.trace({ context }, String(message));
  }
}
