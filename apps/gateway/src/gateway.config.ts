import { portSchema, processConfigSchema } from '@tollgate/runtime';
import { z } from 'zod';

/** What the gateway process reads from its environment. */
export const gatewayConfigSchema = processConfigSchema.extend({
  PORT: portSchema.default(8080),
  DATABASE_URL: z.url(),
  MASTER_KEY: z.string(),
  /** Whether upstreams may have loopback and private addresses. */
  UPSTREAM_PRIVATE_NETWORKS: z.enum(['allow', 'deny']).default('allow'),
});

export type GatewayConfig = z.infer<typeof gatewayConfigSchema>;
