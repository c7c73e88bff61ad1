import type { Health, Logger, ProcessMetrics, Tracing } from '@tollgate/runtime';
import type { BillingConfig } from './billing.config.js';
import type { BillingMetrics } from './telemetry/billing-metrics.js';

/** What the process has before Nest starts. */
export interface BillingContext {
  readonly config: BillingConfig;
  readonly logger: Logger;
  readonly health: Health;
  readonly processMetrics: ProcessMetrics;
  readonly metrics: BillingMetrics;
  readonly tracing: Tracing;
}

/** Token of the above. */
export const BILLING_CONTEXT = Symbol('BILLING_CONTEXT');

/** Token of the connections to the ledger's database. */
export const BILLING_POOL = Symbol('BILLING_POOL');
