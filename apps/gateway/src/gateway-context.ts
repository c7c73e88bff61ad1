import type { Health, Logger, ProcessMetrics } from '@tollgate/runtime';
import type { GatewayConfig } from './gateway.config.js';
import type { GatewayMetrics } from './telemetry/gateway-metrics.js';

/** What the process has before Nest starts. */
export interface GatewayContext {
  readonly config: GatewayConfig;
  readonly logger: Logger;
  readonly health: Health;
  readonly processMetrics: ProcessMetrics;
  readonly metrics: GatewayMetrics;
}

/** Token of the above. */
export const GATEWAY_CONTEXT = Symbol('GATEWAY_CONTEXT');

/** Token of the connections to the database. */
export const GATEWAY_POOL = Symbol('GATEWAY_POOL');
