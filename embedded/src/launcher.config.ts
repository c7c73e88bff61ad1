import { processConfigSchema } from '@tollgate/runtime';
import { z } from 'zod';

const fixedPort = z.coerce.number('must be a port number').int().min(1).max(65_535);

/** What `npm start` reads from its environment. Every variable has a default. */
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
  DATABASE_URL: z.string().optional(),
  /** The owner of that database; with it `npm start` also migrates. */
  DATABASE_OWNER_URL: z.string().optional(),
  /** Generated into the data folder if not set. */
  MASTER_KEY: z.string().optional(),
  /** With it an OpenAI-compatible upstream is registered. */
  OPENAI_API_KEY: z.string().optional(),
  OPENAI_BASE_URL: z.url().default('https://api.openai.com/v1'),
  UPSTREAM_PRIVATE_NETWORKS: z.enum(['allow', 'deny']).default('allow'),
});

export type LauncherConfig = Readonly<z.output<typeof launcherConfigSchema>>;
