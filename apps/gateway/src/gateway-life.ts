import { setTimeout as delay } from 'node:timers/promises';
import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { PostgresHoldStore } from '@tollgate/ledger';
import { listenForChanges, type Change, type ChangeListener } from '@tollgate/persistence';
import type { Health, Logger, ProcessMetrics } from '@tollgate/runtime';
import type { Pool } from 'pg';
import { CallerCache } from './auth/caller-cache.js';
import type { GatewayConfig } from './gateway.config.js';
import { CatalogHolder } from './routing/catalog-holder.js';
import { LiveHolds } from './hold/live-holds.js';
import { InFlightLimit } from './limits/in-flight-limit.js';
import { UsagePublisher } from './metering/usage-publisher.js';
import type { GatewayMetrics } from './telemetry/gateway-metrics.js';
import { ConnectionPools } from './upstream/connection-pools.js';

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

const DRAIN_MS = 60_000;
/** How long requests whose upstream is gone may take to say so to their clients. */
const CUT_OFF_MS = 5_000;

/** Starts and stops the gateway's parts in the order in which they need each other. */
@Injectable()
export class GatewayLife implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private listener: ChangeListener | null = null;

  constructor(
    @Inject(GATEWAY_CONTEXT) private readonly context: GatewayContext,
    @Inject(GATEWAY_POOL) private readonly database: Pool,
    @Inject(CallerCache) private readonly callers: CallerCache,
    @Inject(CatalogHolder) private readonly catalog: CatalogHolder,
    @Inject(InFlightLimit) private readonly limit: InFlightLimit,
    @Inject(LiveHolds) private readonly holds: LiveHolds,
    @Inject(UsagePublisher) private readonly publisher: UsagePublisher,
    @Inject(PostgresHoldStore) private readonly store: PostgresHoldStore,
    @Inject(ConnectionPools) private readonly pools: ConnectionPools,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { config, logger } = this.context;
    this.listener = await listenForChanges({
      url: config.DATABASE_URL,
      name: 'gateway-changes',
      onChange: (change) => this.takeChange(change),
      onLost: (error) => logger.warn({ err: error }, 'lost the connection that tells of changes'),
    });
    await this.catalog.start();
    this.context.health.require('catalog', () => this.catalog.problem());
    this.context.health.require('billing', () =>
      this.publisher.hasRoom ? null : 'finished events wait for the queue',
    );
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.finishRequests();
    await this.listener?.close();
    await this.publisher.flush();
    this.catalog.stop();
    this.holds.stop();
    await this.store.shutdown();
    await this.pools.close();
    await this.database.end();
  }

  /** Lets running requests end by themselves for a minute, then ends them from the upstream's side. */
  private async finishRequests(): Promise<void> {
    const idle = this.limit.close();
    const late = new AbortController();
    const finished = await Promise.race([
      idle.then(() => true),
      delay(DRAIN_MS, false, { signal: late.signal }).catch(() => true),
    ]);
    late.abort();
    if (finished) return;
    await this.pools.close();
    await Promise.race([idle, delay(CUT_OFF_MS)]);
  }

  /** Callers are looked up again when keys or accounts changed, the catalog is read again when anything else did. */
  private takeChange({ table }: Change): void {
    const isCallers = table === 'api_key' || table === 'account';
    if (isCallers || table === null) this.callers.clear();
    if (!isCallers) void this.catalog.refresh();
  }
}
