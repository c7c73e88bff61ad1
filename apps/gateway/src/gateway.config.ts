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
export const gatewayConfigSchema = processConfigSchema
  .extend({
    PORT: portSchema.default(8080),
    DATABASE_URL: z.url(),
    MASTER_KEY: z.string(),
    /** Whether upstreams may have loopback and private addresses. */
    UPSTREAM_PRIVATE_NETWORKS: z.enum(['allow', 'deny']).default('allow'),
    /** Where holds are placed: in Postgres, or in the Redis of REDIS_URL (and in Postgres while that is away). */
    HOLD_STORE: z.enum(['postgres', 'redis']).default('postgres'),
    /** Dialects by host: `host=dialect,host=dialect`. */
    DIALECT_HOSTS: dialectHostsSchema.prefault(''),
    /**
     * Where finished requests are written down before they go to the queue: a folder on a local disk, which the gateways of a
     * machine may share. Without it they wait in memory.
     */
    JOURNAL_DIR: z.string().optional(),
  })
  .refine(({ HOLD_STORE, REDIS_URL }) => HOLD_STORE === 'postgres' || REDIS_URL !== undefined, {
    path: ['HOLD_STORE'],
    message: 'redis needs REDIS_URL',
  });

export type GatewayConfig = z.infer<typeof gatewayConfigSchema>;
