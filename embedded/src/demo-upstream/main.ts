import { createLogger } from '@tollgate/runtime';
import { serveDemoUpstream } from './serve-demo-upstream.js';

serveDemoUpstream().catch((error: unknown) => {
  createLogger('demo-upstream').fatal({ err: error }, 'could not start');
  process.exit(1);
});
