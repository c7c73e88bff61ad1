import { portSchema, postgresUrlSchema, processConfigSchema } from '@tollgate/runtime';
import { z } from 'zod';

/** What the billing process reads from its environment. */
export const billingConfigSchema = processConfigSchema.extend({
  PORT: portSchema.default(8082),
  DATABASE_URL: postgresUrlSchema,
});

export type BillingConfig = z.infer<typeof billingConfigSchema>;
