import { RedisPockets, SHARD_COUNT, connectHoldRedis, surveyPockets, withoutPocket } from '@tollgate/ledger';
import type { EscrowOf, SurveyedPocket } from '@tollgate/ledger';
import type { BillingContext } from '../billing-context.js';

/** What billing asks of the pockets in Redis. Every method rejects where Redis does not answer. */
export interface Pockets extends Pick<RedisPockets, 'expired' | 'close' | 'shut'> {
  /** The next slice of all pockets; the cursor is '0' at the beginning, and again at the end. */
  survey(cursor: string): Promise<{ readonly cursor: string; readonly pockets: readonly SurveyedPocket[] }>;
  /** Which of these escrows have no pocket that draws on them. */
  withoutPocket(escrows: readonly EscrowOf[]): Promise<EscrowOf[]>;
}

/** The pockets of the configured Redis, or null where there is none. */
export interface PocketAccess {
  readonly pockets: Pockets | null;
  readonly shards: readonly number[];
  close(): void;
}

/** Token of the above. */
export const POCKETS = Symbol('POCKETS');

const SURVEYED_KEYS = 1_000;

/** Connects for as long as the process runs; while Redis is away, every call rejects at once. */
export function openPockets({ config, logger }: BillingContext): PocketAccess {
  if (config.REDIS_URL === undefined) return { pockets: null, shards: [], close: () => undefined };
  const redis = connectHoldRedis(config.REDIS_URL);
  let isAway = false;
  redis.on('ready', () => (isAway = false));
  redis.on('error', (error) => {
    if (!isAway) logger.warn({ err: error }, 'the Redis of the pockets could not be reached');
    isAway = true;
  });
  const pockets = new RedisPockets(redis);
  return {
    pockets: {
      expired: (shard, holdsMax) => pockets.expired(shard, holdsMax),
      close: (requestId, accountId, costNano) => pockets.close(requestId, accountId, costNano),
      shut: (accountId, escrowId) => pockets.shut(accountId, escrowId),
      survey: (cursor) => surveyPockets(redis, cursor, SURVEYED_KEYS),
      withoutPocket: (escrows) => withoutPocket(redis, escrows),
    },
    shards: Array.from({ length: SHARD_COUNT }, (_, shard) => shard),
    close: () => redis.disconnect(),
  };
}
