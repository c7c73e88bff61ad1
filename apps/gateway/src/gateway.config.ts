import { portSchema, processConfigSchema } from '@tollgate/runtime';
import { z } from 'zod';
import { parseDialectHosts } from './dialects/dialect-hosts.js';

const dialectHostsSchema = z.string().transform((text, context) => {
  try {
    return parseDialectHosts(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'cannot be read' });
    return z.NEVER;
  }
});

/** What the gateway process reads from its environment. */
export const gatewayConfigSchema = processConfigSchema.extend({
  PORT: portSchema.default(8080),
  DATABASE_URL: z.url(),
  MASTER_KEY: z.string(),
  /** Whether upstreams may have loopback and private addresses. */
  UPSTREAM_PRIVATE_NETWORKS: z.enum(['allow', 'deny']).default('allow'),
  /** Dialects by host: `host=dialect,host=dialect`. */
  DIALECT_HOSTS: dialectHostsSchema.prefault(''),
});

export type GatewayConfig = z.infer<typeof gatewayConfigSchema>;
