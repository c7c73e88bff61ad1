import { ConfigError, EXIT_CONFIG, createLogger } from '@tollgate/runtime';
import { serveDemoUpstream } from './serve-demo-upstream.js';

serveDemoUpstream().catch((error: unknown) => {
  const logger = createLogger('demo-upstream');
  if (error instanceof ConfigError) {
    logger.fatal(error.message);
    process.exit(EXIT_CONFIG);
  }
  logger.fatal({ err: error }, 'could not start');
  process.exit(1);
});
