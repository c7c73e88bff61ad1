import { MasterKey, MasterKeyError, portSchema, processConfigSchema } from '@tollgate/runtime';
import { z } from 'zod';

const masterKeySchema = z.string().transform((base64, context) => {
  try {
    return MasterKey.parse(base64);
  } catch (error) {
    if (!(error instanceof MasterKeyError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
    return z.NEVER;
  }
});

/** The environment of the admin process. */
export const adminConfigSchema = processConfigSchema.extend({
  PORT: portSchema.default(8081),
  DATABASE_URL: z.string().regex(/^postgres(ql)?:\/\//, 'must be a postgres:// URL'),
  MASTER_KEY: masterKeySchema,
  /** Whether upstreams may live on this machine and in private networks. */
  UPSTREAM_PRIVATE_NETWORKS: z.enum(['allow', 'deny']).default('allow'),
  /** How long one query of this API may take before the database gives it up. */
  STATEMENT_TIMEOUT_MS: z.coerce.number().int().min(100).max(600_000).default(30_000),
});

export type AdminConfig = Readonly<z.infer<typeof adminConfigSchema>>;

/** Injection token of the process's configuration. */
export const ADMIN_CONFIG = Symbol('AdminConfig');
