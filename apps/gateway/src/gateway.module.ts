import { BullModule } from '@nestjs/bullmq';
import { Module, type DynamicModule, type Provider } from '@nestjs/common';
import { USAGE_JOB_OPTIONS, USAGE_QUEUE } from '@tollgate/contracts';
import {
  assertMasterKey,
  assertSchemaVersion,
  createPool,
  findApiKeyByHash,
  loadCatalogRows,
  readCatalogVersion,
} from '@tollgate/persistence';
import { MasterKey, connectQueues } from '@tollgate/runtime';
import type { Pool } from 'pg';
import { CallerCache } from './auth/caller-cache.js';
import { DialectChoice } from './dialects/dialect-choice.js';
import { GATEWAY_CONTEXT, GATEWAY_POOL, type GatewayContext } from './gateway-context.js';
import { HOLD_PROVIDERS } from './gateway-holds.js';
import { PUBLISHING_PROVIDERS } from './gateway-journal.js';
import { GatewayLife } from './gateway-life.js';
import { LiveHolds } from './hold/live-holds.js';
import { ChatCompletionsController } from './http/chat-completions.controller.js';
import { CompletionsController } from './http/completions.controller.js';
import { EmbeddingsController } from './http/embeddings.controller.js';
import { ModelsController } from './http/models.controller.js';
import { InFlightLimit } from './limits/in-flight-limit.js';
import { UsagePublisher } from './metering/usage-publisher.js';
import type { RelaySteps } from './relay/relay.js';
import { RELAY_STEPS, RelayService } from './relay/relay.service.js';
import { readCatalog } from './routing/read-catalog.js';
import { CatalogHolder } from './routing/catalog-holder.js';
import { BillingDashboardController } from './self-service/billing-dashboard.controller.js';
import { BillingDashboard } from './self-service/billing-dashboard.js';
import { KeySelfService } from './self-service/key-self-service.js';
import { KeyController } from './self-service/key.controller.js';
import { LedgerReads } from './self-service/ledger-reads.js';
import { RefusedUpstreams } from './upstream/refused-upstreams.js';
import { UpstreamAttempts } from './upstream/upstream-attempts.js';
import { ConnectionPools } from './upstream/connection-pools.js';

const POOL_CONNECTIONS_MAX = 4;
/** Callers wait for these queries, so a Postgres that hangs is as good as one that is away. */
const QUERY_TIMEOUT_MS = 5_000;
const QUEUE_CONNECTIONS_MAX = 2;

const MASTER_KEY = Symbol('MASTER_KEY');

@Module({})
export class GatewayModule {
  static with(context: GatewayContext): DynamicModule {
    const { config } = context;
    return {
      module: GatewayModule,
      imports: [
        BullModule.forRoot({
          connection: connectQueues({
            databaseUrl: config.DATABASE_URL,
            redisUrl: config.REDIS_URL,
            use: 'add',
            connectionsMax: QUEUE_CONNECTIONS_MAX,
          }),
          defaultJobOptions: USAGE_JOB_OPTIONS,
        }),
        BullModule.registerQueue({ name: USAGE_QUEUE }),
      ],
      controllers: [
        ChatCompletionsController,
        CompletionsController,
        EmbeddingsController,
        ModelsController,
        KeyController,
        BillingDashboardController,
      ],
      providers: [{ provide: GATEWAY_CONTEXT, useValue: context }, ...PROVIDERS],
    };
  }
}

/** Plain classes take plain dependencies; only here is said what they are made of. */
const PROVIDERS: Provider[] = [
  RelayService,
  GatewayLife,
  InFlightLimit,
  {
    provide: GATEWAY_POOL,
    inject: [GATEWAY_CONTEXT, MASTER_KEY],
    useFactory: async ({ config, processMetrics }: GatewayContext, masterKey: MasterKey) => {
      const pool = createPool({
        url: config.DATABASE_URL,
        max: POOL_CONNECTIONS_MAX,
        name: 'gateway',
        queryTimeoutMs: QUERY_TIMEOUT_MS,
      });
      processMetrics.watchPool(pool);
      await assertSchemaVersion(pool);
      await assertMasterKey(pool, masterKey);
      return pool;
    },
  },
  {
    provide: MASTER_KEY,
    inject: [GATEWAY_CONTEXT],
    useFactory: ({ config }: GatewayContext) => MasterKey.parse(config.MASTER_KEY),
  },
  {
    provide: CallerCache,
    inject: [MASTER_KEY, GATEWAY_POOL],
    useFactory: (masterKey: MasterKey, pool: Pool) =>
      new CallerCache(masterKey, (keyHash) => findApiKeyByHash(pool, keyHash)),
  },
  {
    provide: CatalogHolder,
    inject: [MASTER_KEY, GATEWAY_POOL, CallerCache, RefusedUpstreams, GATEWAY_CONTEXT],
    useFactory: (
      masterKey: MasterKey,
      pool: Pool,
      callers: CallerCache,
      refusedUpstreams: RefusedUpstreams,
      { config, logger }: GatewayContext,
    ) =>
      new CatalogHolder(
        {
          load: async () =>
            readCatalog(await loadCatalogRows(pool), {
              masterKey,
              logger,
              privateNetworks: config.UPSTREAM_PRIVATE_NETWORKS,
              refusedUpstreams,
            }),
          readVersion: () => readCatalogVersion(pool),
          onMissedChange: () => callers.clear(),
        },
        logger,
      ),
  },
  {
    provide: DialectChoice,
    inject: [GATEWAY_CONTEXT],
    useFactory: ({ config }: GatewayContext) => new DialectChoice(config.DIALECT_HOSTS),
  },
  ...HOLD_PROVIDERS,
  ...PUBLISHING_PROVIDERS,
  {
    provide: ConnectionPools,
    inject: [GATEWAY_CONTEXT],
    useFactory: ({ config }: GatewayContext) => new ConnectionPools(config.UPSTREAM_PRIVATE_NETWORKS),
  },
  {
    provide: RefusedUpstreams,
    inject: [GATEWAY_CONTEXT],
    useFactory: ({ logger }: GatewayContext) => new RefusedUpstreams(logger),
  },
  {
    provide: UpstreamAttempts,
    inject: [ConnectionPools, RefusedUpstreams, GATEWAY_CONTEXT],
    useFactory: (pools: ConnectionPools, refused: RefusedUpstreams, { logger }: GatewayContext) =>
      new UpstreamAttempts(pools, logger, refused),
  },
  {
    provide: LedgerReads,
    inject: [GATEWAY_POOL],
    useFactory: (pool: Pool) => new LedgerReads(pool),
  },
  {
    provide: KeySelfService,
    inject: [LedgerReads, CatalogHolder],
    useFactory: (reads: LedgerReads, catalog: CatalogHolder) => new KeySelfService(reads, catalog),
  },
  {
    provide: BillingDashboard,
    inject: [LedgerReads, CatalogHolder],
    useFactory: (reads: LedgerReads, catalog: CatalogHolder) =>
      new BillingDashboard(reads, () => catalog.current.settings.dashboardMode),
  },
  {
    provide: RELAY_STEPS,
    inject: [CatalogHolder, InFlightLimit, LiveHolds, UpstreamAttempts, UsagePublisher, GATEWAY_CONTEXT],
    useFactory: (
      catalog: CatalogHolder,
      limit: InFlightLimit,
      holds: LiveHolds,
      upstream: UpstreamAttempts,
      publisher: UsagePublisher,
      { logger }: GatewayContext,
    ): RelaySteps => ({ catalog, limit, holds, upstream, publisher, logger }),
  },
];
