import { createHash } from 'node:crypto';
import { Redis, type Cluster } from 'ioredis';
import { HoldStoreUnavailableError } from '../hold-store.js';

/** A connection to the Redis of the pockets. */
export type HoldRedis = Redis | Cluster;

/** Redis failed, or did not answer in time: what was asked may or may not have been done. */
export class RedisAwayError extends HoldStoreUnavailableError {}

/** Redis is away when it was silent for so long: callers wait. */
export const ANSWER_MAX_MS = 250;
/** How many times as long a Redis may take that does answer, only slowly. */
const SLOW_ANSWERS = 3;
/** A connection without any answer for so many times as long is made anew, however healthy TCP takes it to be. */
const SILENT_ANSWERS = 8;
const CONNECT_TIMEOUT_MS = 1_000;
const RECONNECT_MAX_MS = 500;

/**
 * Connects for holds: nothing waits in the client while Redis is away, and nothing is sent twice, because a hold that is resent
 * after a failover would land on a server that the caller never meant. Ends with `disconnect()`.
 *
 * @param answerMaxMs Redis is away when it was silent for so long, in milliseconds
 */
export function connectHoldRedis(url: string, answerMaxMs = ANSWER_MAX_MS): Redis {
  const redis = new Redis(url, {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: answerMaxMs * SILENT_ANSWERS,
    retryStrategy: (attempt) => Math.min(50 * attempt, RECONNECT_MAX_MS),
    connectionName: 'tollgate-holds',
  });
  answersWithinMs.set(redis, answerMaxMs);
  return redis;
}

/** One Lua script: by its digest, with its text where the server does not know it yet. */
export class RedisScript {
  private readonly digest: string;

  constructor(private readonly text: string) {
    this.digest = createHash('sha1').update(text).digest('hex');
  }

  /** @throws RedisAwayError */
  async run(redis: HoldRedis, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    try {
      return await answeredInTime(redis, redis.evalsha(this.digest, keys.length, ...keys, ...args));
    } catch (error) {
      if (!isUnknownScript(error)) throw asAway(error);
    }
    try {
      return await answeredInTime(redis, redis.eval(this.text, keys.length, ...keys, ...args));
    } catch (error) {
      throw asAway(error);
    }
  }
}

function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}

function asAway(error: unknown): RedisAwayError {
  if (error instanceof RedisAwayError) return error;
  return new RedisAwayError('Redis cannot place holds', { cause: error });
}

/** How long each connection waits, where that was said. */
const answersWithinMs = new WeakMap<HoldRedis, number>();
/** When each connection answered last, in monotonic milliseconds. */
const answeredAtMs = new WeakMap<HoldRedis, number>();

/**
 * The answer, or RedisAwayError once Redis has been silent for too long. While it answers others, it is slow and not away. And when this
 * process itself was busy, the answer may be there but unread: what has come in is read before the time is called up.
 */
function answeredInTime(redis: HoldRedis, answer: Promise<unknown>): Promise<unknown> {
  const sentAtMs = performance.now();
  const answerMaxMs = answersWithinMs.get(redis) ?? ANSWER_MAX_MS;
  return new Promise((resolve, reject) => {
    let hasReadOn = false;
    const overdue = (): void => {
      const now = performance.now();
      const silentMs = now - Math.max(sentAtMs, answeredAtMs.get(redis) ?? 0);
      const isSlow = silentMs < answerMaxMs && now - sentAtMs < answerMaxMs * SLOW_ANSWERS;
      if (isSlow || !hasReadOn) timer = setTimeout(overdue, isSlow ? answerMaxMs - silentMs : 1);
      else reject(new RedisAwayError(`Redis did not answer within ${String(Math.round(now - sentAtMs))} ms`));
      hasReadOn = !isSlow;
    };
    let timer = setTimeout(overdue, answerMaxMs);
    answer.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      answeredAtMs.set(redis, performance.now());
    });
  });
}
