import { MasterKey, MasterKeyError, processConfigSchema } from '@tollgate/runtime';
import { z } from 'zod';

const postgresUrlSchema = z.string().regex(/^postgres(ql)?:\/\//, 'must be a postgres:// URL');

const masterKeySchema = z.string().refine(
  (base64) => {
    try {
      MasterKey.parse(base64);
      return true;
    } catch (error) {
      if (error instanceof MasterKeyError) return false;
      throw error;
    }
  },
  { error: 'must be 32 bytes in base64: openssl rand -base64 32' },
);

/** The environment of `migrate`. A secret that is set here is used, and not written down. */
export const migrateConfigSchema = processConfigSchema.pick({ LOG_LEVEL: true }).extend({
  /** Folder of the secrets that the applications read. */
  SECRETS_DIR: z.string(),
  /** Folder of the owner's password, which they must not read. */
  OWNER_SECRETS_DIR: z.string(),
  MASTER_KEY: masterKeySchema.optional(),
  METRICS_TOKEN: z.string().min(16, 'must have at least 16 characters').optional(),
  /** Connection of the applications to a Postgres of the operator's own. */
  DATABASE_URL: postgresUrlSchema.optional(),
  /** Connection of its owner. */
  DATABASE_OWNER_URL: postgresUrlSchema.optional(),
  /** The bundled Postgres: host and port, database, owner, and the role of the applications, which is made. */
  POSTGRES_ADDRESS: z.string().default('postgres:5432'),
  POSTGRES_DB: z.string().default('tollgate'),
  POSTGRES_USER: z.string().default('tollgate_owner'),
  POSTGRES_APP_USER: z.string().default('tollgate_app'),
  /** The owner's password, where the operator chose one. */
  POSTGRES_PASSWORD: z.string().optional(),
  /** The password that a new Postgres starts with; it is replaced before anything else happens. */
  POSTGRES_BOOTSTRAP_PASSWORD: z.string().optional(),
  POSTGRES_WAIT_MS: z.coerce.number('must be milliseconds').int().min(0).default(60_000),
  /** Where the operator will find the two, as printed with the first token. */
  GATEWAY_URL: z.string().default('http://127.0.0.1:8080'),
  ADMIN_URL: z.string().default('http://127.0.0.1:8081'),
});

export type MigrateConfig = Readonly<z.infer<typeof migrateConfigSchema>>;
