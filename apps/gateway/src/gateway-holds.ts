import { once } from 'node:events';
import type { Provider } from '@nestjs/common';
import {
  FailoverHoldStore,
  PostgresEscrowLedger,
  PostgresHoldStore,
  RedisHoldStore,
  RedisPockets,
  connectHoldRedis,
  poolSql,
  testRedisForHolds,
  type HoldStore,
} from '@tollgate/ledger';
import type { Pool } from 'pg';
import { GATEWAY_CONTEXT, GATEWAY_POOL, type GatewayContext } from './gateway-context.js';
import { LiveHolds } from './hold/live-holds.js';

/** The store of this process, with what it needs beyond serving holds. */
export interface GatewayHoldStore {
  readonly store: HoldStore;
  /** Balances may have changed. */
  forgetEmpty(): void;
  shutdown(): Promise<void>;
}

/** Token of the above. */
export const GATEWAY_HOLD_STORE = Symbol('GATEWAY_HOLD_STORE');

/** `assertRedisUsable` has waited for Redis before. */
const READY_MAX_MS = 5_000;

/** Where holds are. */
export const HOLD_PROVIDERS: Provider[] = [
  {
    provide: GATEWAY_HOLD_STORE,
    inject: [GATEWAY_POOL, GATEWAY_CONTEXT],
    useFactory: (pool: Pool, context: GatewayContext): GatewayHoldStore | Promise<GatewayHoldStore> => {
      const { HOLD_STORE, REDIS_URL } = context.config;
      return HOLD_STORE === 'redis' && REDIS_URL !== undefined
        ? openRedisStore(pool, REDIS_URL, context)
        : openPostgresStore(pool);
    },
  },
  {
    provide: LiveHolds,
    inject: [GATEWAY_HOLD_STORE, GATEWAY_CONTEXT],
    useFactory: ({ store }: GatewayHoldStore, { logger, metrics }: GatewayContext) =>
      new LiveHolds(store, logger, metrics),
  },
];

function openPostgresStore(pool: Pool): GatewayHoldStore {
  const store = new PostgresHoldStore(pool);
  return { store, forgetEmpty: () => undefined, shutdown: () => store.shutdown() };
}

/** @throws RedisHoldsError if this Redis cannot carry holds. */
async function openRedisStore(
  pool: Pool,
  redisUrl: string,
  { logger, metrics }: GatewayContext,
): Promise<GatewayHoldStore> {
  const redis = connectHoldRedis(redisUrl);
  // That Redis is away is told once, by the store, and not for each attempt to reach it.
  redis.on('error', () => undefined);
  const pockets = new RedisPockets(redis);
  try {
    await once(redis, 'ready', { signal: AbortSignal.timeout(READY_MAX_MS) });
    const { warning } = await testRedisForHolds(pockets);
    if (warning !== null) logger.warn(warning);
  } catch (error) {
    redis.disconnect();
    throw error;
  }
  const ledger = new PostgresEscrowLedger(poolSql(pool));
  const store = new FailoverHoldStore({
    redis: new RedisHoldStore(pockets, ledger, (result) => metrics.holdStore.refilled(result)),
    postgres: new PostgresHoldStore(pool),
    ledger,
    probe: () => pockets.probe(),
    onSwitch: (to, cause) => {
      metrics.holdStore.switched(to);
      if (to === 'postgres') logger.error({ err: cause }, 'Redis is away: holds are placed in Postgres');
      else logger.warn('Redis is back: holds are placed there again');
    },
  });
  metrics.holdStore.inUse = 'redis';
  return {
    store,
    forgetEmpty: () => store.forgetEmpty(),
    shutdown: async () => {
      await store.shutdown();
      redis.disconnect();
    },
  };
}
