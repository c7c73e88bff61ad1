import { BullModule } from '@nestjs/bullmq';
import { Inject, Module, type DynamicModule, type OnApplicationShutdown } from '@nestjs/common';
import { USAGE_QUEUE } from '@tollgate/contracts';
import { assertSchemaVersion, createPool } from '@tollgate/persistence';
import { connectQueues } from '@tollgate/runtime';
import type { Pool } from 'pg';
import { BILLING_CONTEXT, BILLING_POOL, type BillingContext } from './billing-context.js';
import { UsageEventProcessor } from './settlement/usage-event.processor.js';
import { UsageSettlement } from './settlement/usage-settlement.js';
import { ExpiredHolds } from './sweeping/expired-holds.js';
import { ExpiredPocketHolds } from './sweeping/expired-pocket-holds.js';
import { POCKETS, openPockets } from './sweeping/pockets.js';
import { ReturningEscrows } from './sweeping/returning-escrows.js';
import { SweptRequests } from './sweeping/swept-requests.js';
import { BooksCheck } from './reconciling/books-check.js';
import { DriftedPockets } from './reconciling/drifted-pockets.js';
import { BacklogWatch } from './telemetry/backlog-watch.js';
import { DayCloses } from './upkeep/day-closes.js';
import { EndedHolds } from './upkeep/ended-holds.js';
import { UsageMonths } from './upkeep/usage-months.js';

const POOL_CONNECTIONS_MAX = 4;
const QUEUE_CONNECTIONS_MAX = 3;

@Module({})
export class BillingModule implements OnApplicationShutdown {
  constructor(@Inject(BILLING_POOL) private readonly pool: Pool) {}

  static with(context: BillingContext): DynamicModule {
    const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl } = context.config;
    return {
      module: BillingModule,
      imports: [
        BullModule.forRoot({
          connection: connectQueues({
            databaseUrl,
            redisUrl,
            use: 'take',
            connectionsMax: QUEUE_CONNECTIONS_MAX,
          }),
        }),
        BullModule.registerQueue({ name: USAGE_QUEUE }),
      ],
      providers: [
        { provide: BILLING_CONTEXT, useValue: context },
        { provide: BILLING_POOL, useFactory: () => openPool(context) },
        UsageSettlement,
        UsageEventProcessor,
        { provide: POCKETS, useFactory: () => openPockets(context) },
        SweptRequests,
        ExpiredHolds,
        ExpiredPocketHolds,
        ReturningEscrows,
        BooksCheck,
        DriftedPockets,
        UsageMonths,
        DayCloses,
        EndedHolds,
        BacklogWatch,
      ],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }
}

async function openPool({ config, health, processMetrics }: BillingContext): Promise<Pool> {
  const pool = createPool({ url: config.DATABASE_URL, max: POOL_CONNECTIONS_MAX, name: 'billing' });
  processMetrics.watchPool(pool);
  await assertSchemaVersion(pool);
  health.require('database', async () => {
    await pool.query('SELECT 1');
    return null;
  });
  return pool;
}
