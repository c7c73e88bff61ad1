import { LRUCache } from 'lru-cache';
import type { EscrowLedger } from '../escrow-ledger.js';
import {
  HoldStoreUnavailableError,
  type HoldRequest,
  type HoldResult,
  type HoldStore,
  type TouchOutcome,
  type TouchedHold,
} from '../hold-store.js';
import { RedisAwayError } from './hold-redis.js';
import { RETRY_AFTER_SECONDS, type RedisHoldStore } from './redis-hold-store.js';

export interface FailoverHoldStoreOptions {
  readonly redis: RedisHoldStore;
  readonly postgres: HoldStore;
  readonly ledger: EscrowLedger;
  /** Rejects while Redis cannot place holds. */
  readonly probe: () => Promise<unknown>;
  /** Told when holds begin to go to the other store. */
  readonly onSwitch?: (store: 'redis' | 'postgres', cause: unknown) => void;
}

/** Where the hold of a request is. `isInRedisToo`: one may be there as well, given up because Redis did not answer. */
interface Home {
  readonly store: 'redis' | 'postgres';
  readonly isInRedisToo: boolean;
}

interface OwedClosing {
  readonly accountId: string;
  readonly costNano: bigint;
}

const PROBE_INTERVAL_MS = 250;
/** Closings that Redis could not take, kept for when it is back. What is beyond is left to billing, once it expires. */
const OWED_MAX = 10_000;
const SET_ASIDE_TTL_MS = 1_000;
const SET_ASIDE_MAX = 10_000;

/**
 * Holds in Redis while it answers, else in Postgres. The first call that Redis fails, or leaves without an answer for 250 ms, is
 * answered by Postgres, and so are all that follow until a probe succeeds. Each hold stays with the store that has it, except
 * that the holds in a Redis that is away count as gone: their requests hold again.
 */
export class FailoverHoldStore implements HoldStore {
  private readonly homes = new Map<string, Home>();
  private readonly owed = new Map<string, OwedClosing>();
  /** What accounts have in escrow while Redis is away, so that refusals do not ask Postgres each time. Nano-credits. */
  private readonly setAside = new LRUCache<string, { readonly amountNano: bigint }>({
    max: SET_ASIDE_MAX,
    ttl: SET_ASIDE_TTL_MS,
  });
  private probeTimer: NodeJS.Timeout | null = null;
  private closed = false;

  constructor(private readonly options: FailoverHoldStoreOptions) {}

  /** Whether new holds go to Redis. */
  get isRedisInUse(): boolean {
    return this.probeTimer === null;
  }

  async hold(request: HoldRequest): Promise<HoldResult> {
    this.assertOpen();
    const home = this.homes.get(request.requestId);
    if (home?.store === 'postgres') return this.options.postgres.hold(request);
    let mayBeInRedis = home !== undefined;
    if (this.isRedisInUse) {
      try {
        const result = await this.options.redis.hold(request);
        if (result.outcome === 'held') {
          this.homes.set(request.requestId, { store: 'redis', isInRedisToo: true });
        }
        return result;
      } catch (error) {
        this.leaveRedis(error);
        mayBeInRedis = true;
      }
    }
    const result = await this.holdInPostgres(request);
    if (result.outcome === 'held') {
      this.homes.set(request.requestId, { store: 'postgres', isInRedisToo: mayBeInRedis });
    }
    return result;
  }

  async touch(holds: readonly TouchedHold[]): Promise<Map<string, TouchOutcome>> {
    this.assertOpen();
    const isInPostgres = ({ requestId }: TouchedHold): boolean =>
      this.homes.get(requestId)?.store === 'postgres';
    const answers = await Promise.all([
      this.options.postgres.touch(holds.filter(isInPostgres)),
      this.touchInRedis(holds.filter((hold) => !isInPostgres(hold))),
    ]);
    return new Map(answers.flatMap((answer) => [...answer]));
  }

  async close(requestId: string, accountId: string, costNano: bigint): Promise<void> {
    this.assertOpen();
    const home = this.homes.get(requestId);
    this.homes.delete(requestId);
    if (home?.store !== 'postgres') return this.closeInRedis(requestId, { accountId, costNano });
    await this.options.postgres.close(requestId, accountId, costNano);
    // Its money was never spent there: a hold that nobody closes would bind it until it expires.
    if (home.isInRedisToo) await this.closeInRedis(requestId, { accountId, costNano: 0n });
  }

  /** Balances may have changed. */
  forgetEmpty(): void {
    this.options.redis.forgetEmpty();
    this.setAside.clear();
  }

  async shutdown(): Promise<void> {
    this.closed = true;
    if (this.probeTimer !== null) clearTimeout(this.probeTimer);
    await Promise.all([this.options.redis.shutdown(), this.options.postgres.shutdown()]);
  }

  private async touchInRedis(holds: readonly TouchedHold[]): Promise<Map<string, TouchOutcome>> {
    if (holds.length === 0) return new Map();
    if (this.isRedisInUse) {
      try {
        return await this.options.redis.touch(holds);
      } catch (error) {
        this.leaveRedis(error);
      }
    }
    return new Map(holds.map(({ requestId }) => [requestId, 'gone']));
  }

  private async closeInRedis(requestId: string, closing: OwedClosing): Promise<void> {
    if (this.isRedisInUse) {
      try {
        await this.options.redis.close(requestId, closing.accountId, closing.costNano);
        return;
      } catch (error) {
        this.leaveRedis(error);
      }
    }
    if (this.owed.size < OWED_MAX) this.owed.set(requestId, closing);
  }

  /**
   * What Redis has of the account cannot be spent without Redis, nor freed while some other gateway may still reach it. So an account
   * that has money in escrow is not refused, and the escrow is called back.
   */
  private async holdInPostgres(request: HoldRequest): Promise<HoldResult> {
    const result = await this.options.postgres.hold(request);
    if (result.outcome !== 'refused') return result;
    const { accountId, totalNano, leastNano = totalNano } = request;
    let known = this.setAside.get(accountId);
    if (known === undefined) {
      known = { amountNano: await this.options.ledger.setAside(accountId) };
      this.setAside.set(accountId, known);
      if (known.amountNano > 0n) await this.options.ledger.wanted(accountId);
    }
    const least = leastNano < totalNano ? leastNano : totalNano;
    if (known.amountNano === 0n || result.availableNano + known.amountNano < least) return result;
    return { outcome: 'set_aside', retryAfterSeconds: RETRY_AFTER_SECONDS };
  }

  /** Redis is away: rethrows what is not its fault. */
  private leaveRedis(error: unknown): void {
    if (!(error instanceof RedisAwayError)) throw error;
    if (this.probeTimer !== null || this.closed) return;
    this.options.onSwitch?.('postgres', error);
    this.probeLater();
  }

  private probeLater(): void {
    this.probeTimer = setTimeout(() => void this.probe(), PROBE_INTERVAL_MS);
    this.probeTimer.unref();
  }

  private async probe(): Promise<void> {
    try {
      await this.options.probe();
    } catch {
      if (!this.closed) this.probeLater();
      return;
    }
    if (this.closed) return;
    this.probeTimer = null;
    this.setAside.clear();
    this.options.onSwitch?.('redis', null);
    const owed = [...this.owed];
    this.owed.clear();
    for (const [requestId, closing] of owed) {
      await this.closeInRedis(requestId, closing).catch(() => undefined);
    }
  }

  private assertOpen(): void {
    if (this.closed) throw new HoldStoreUnavailableError('the hold store is shut down');
  }
}
