import { MasterKey, MasterKeyError, postgresUrlSchema, processConfigSchema } from '@tollgate/runtime';
import { demoSettings } from './demo-upstream/demo-settings.js';
import { z } from 'zod';

const fixedPort = z.coerce.number('must be a port number').int().min(1).max(65_535);

const masterKeySchema = z.string().refine((base64) => {
  try {
    MasterKey.parse(base64);
    return true;
  } catch (error) {
    if (error instanceof MasterKeyError) return false;
    throw error;
  }
}, 'must be 32 bytes in base64: openssl rand -base64 32');

/**
 * What `npm start` reads from its environment, and what it can judge of what it hands on: a wrong value is named before
 * anything starts. Every variable has a default.
 */
export const launcherConfigSchema = processConfigSchema.extend({
  /** Where everything is kept; `data` in the checkout if not set. */
  DATA_DIR: z.string().optional(),
  GATEWAY_PORT: fixedPort.default(8080),
  ADMIN_PORT: fixedPort.default(8081),
  BILLING_PORT: fixedPort.default(8082),
  DEMO_UPSTREAM_PORT: fixedPort.default(8083),
  /** Port of the embedded Postgres on 127.0.0.1; any free one if not set. */
  POSTGRES_PORT: fixedPort.optional(),
  /** A Postgres of the operator's own for the applications' role; then the embedded one is not started. */
  DATABASE_URL: postgresUrlSchema.optional(),
  /** The owner of that database; with it `npm start` also migrates. */
  DATABASE_OWNER_URL: postgresUrlSchema.optional(),
  /** Generated into the data folder if not set. */
  MASTER_KEY: masterKeySchema.optional(),
  /** With it an OpenAI-compatible upstream is registered. */
  OPENAI_API_KEY: z.string().optional(),
  OPENAI_BASE_URL: z.url().default('https://api.openai.com/v1'),
  UPSTREAM_PRIVATE_NETWORKS: z.enum(['allow', 'deny']).default('allow'),
  /** `off`: there is no demo upstream, and a first run makes nothing to try it with. */
  DEMO_UPSTREAM: z.enum(['on', 'off'], 'must be on or off').default('on'),
  ...demoSettings,
  /** Where holds are: in Postgres, or in the Redis of REDIS_URL. Of the gateway, which judges both again. */
  HOLD_STORE: z.enum(['postgres', 'redis'], 'must be postgres or redis').default('postgres'),
  /** Where the gateway keeps its journal; `journal` in the data folder if not set. */
  JOURNAL_DIR: z.string().optional(),
  /** Of admin, which judges it again. */
  STATEMENT_TIMEOUT_MS: z.coerce
    .number('must be 100 to 600000 milliseconds')
    .int()
    .min(100)
    .max(600_000)
    .optional(),
});

export type LauncherConfig = Readonly<z.output<typeof launcherConfigSchema>>;
