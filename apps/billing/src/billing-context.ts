import type { Health, Logger } from '@tollgate/runtime';
import type { BillingConfig } from './billing.config.js';

/** What the process has before Nest starts. */
export interface BillingContext {
  readonly config: BillingConfig;
  readonly logger: Logger;
  readonly health: Health;
}

/** Token of the above. */
export const BILLING_CONTEXT = Symbol('BILLING_CONTEXT');

/** Token of the connections to the ledger's database. */
export const BILLING_POOL = Symbol('BILLING_POOL');
