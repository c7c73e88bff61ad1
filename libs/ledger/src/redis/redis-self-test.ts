import { HoldStoreUnavailableError } from '../hold-store.js';
import type { RedisHistory, RedisPockets } from './redis-pockets.js';

/** This Redis cannot carry holds. The message says why and what to do; it has no password in it. */
export class RedisHoldsError extends Error {
  override readonly name = 'RedisHoldsError';
}

export interface RedisSelfTest {
  readonly history: RedisHistory;
  /** What an operator should mend, though holds work; null if nothing. */
  readonly warning: string | null;
}

/**
 * Makes sure, before the first hold, that this Redis runs the scripts and tells which history its data has: without that, a pocket
 * that lost its last writes could not be told from a sound one, and money would be spent twice.
 * @throws RedisHoldsError
 */
export async function testRedisForHolds(pockets: RedisPockets): Promise<RedisSelfTest> {
  let history: RedisHistory;
  try {
    history = await pockets.probe();
  } catch (error) {
    throw new RedisHoldsError(`${reasonOf(error)}: ${WAY_OUT}`, { cause: error });
  }
  const warning =
    history.replicas > 0 && !history.needsReplicas
      ? 'Redis has replicas, but goes on writing without them: a master that was cut off would go on placing holds ' +
        '(set min-replicas-to-write 1)'
      : null;
  return { history, warning };
}

const WAY_OUT =
  'correct that, or keep holds in Postgres by setting HOLD_STORE=postgres (usage events may still go through this Redis)';

function reasonOf(error: unknown): string {
  const cause = error instanceof HoldStoreUnavailableError ? error.cause : error;
  const text = cause instanceof Error ? cause.message : '';
  if (text.includes('NOHISTORY')) {
    return 'Redis does not tell which history its data has (INFO replication has no master_replid), so it cannot hold credits';
  }
  if (/NOPERM|can't run this command|not allowed/i.test(text)) {
    return 'the user of REDIS_URL may not run EVALSHA, EVAL, or INFO within scripts (its ACL needs +eval +evalsha +info)';
  }
  if (/compiling script|unknown command|flags|engine/i.test(text)) {
    return 'Redis does not run the scripts that place holds (it has to be Redis 7 or newer, or Valkey)';
  }
  if (text.startsWith('OOM')) return 'Redis is out of memory';
  if (text.startsWith('READONLY')) return 'REDIS_URL leads to a replica, which takes no holds';
  return `Redis did not place a hold for a trial (${text === '' ? String(error) : text})`;
}
