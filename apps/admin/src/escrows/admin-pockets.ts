import { once } from 'node:events';
import {
  RedisAwayError,
  RedisPockets,
  connectHoldRedis,
  type PocketRest,
  type PocketShutter,
} from '@tollgate/ledger';

type HoldRedis = ReturnType<typeof connectHoldRedis>;

/** Longest wait for the first connection; whatever is asked later is answered or refused within 250 ms. */
const CONNECT_MAX_MS = 1_000;

/**
 * The pockets in Redis. It connects when the first one is to be shut: where holds are in Postgres there are none, and Redis may be
 * there for the queue alone.
 */
export class AdminPockets implements PocketShutter {
  private redis: HoldRedis | null = null;

  constructor(private readonly redisUrl: string) {}

  /** @throws RedisAwayError */
  async shut(accountId: string, escrowId: string): Promise<PocketRest> {
    return new RedisPockets(await this.connected()).shut(accountId, escrowId);
  }

  close(): void {
    this.redis?.disconnect();
  }

  private async connected(): Promise<HoldRedis> {
    if (this.redis === null) {
      this.redis = connectHoldRedis(this.redisUrl);
      // Whoever asks is told that it is away.
      this.redis.on('error', () => undefined);
    }
    const { redis } = this;
    if (redis.status === 'ready') return redis;
    try {
      await once(redis, 'ready', { signal: AbortSignal.timeout(CONNECT_MAX_MS) });
    } catch (cause) {
      throw new RedisAwayError('Redis cannot be reached', { cause });
    }
    return redis;
  }
}
