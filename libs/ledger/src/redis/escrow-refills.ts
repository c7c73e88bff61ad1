import { setImmediate } from 'node:timers/promises';
import { faultPoint } from '@tollgate/runtime';
import { LRUCache } from 'lru-cache';
import type { EscrowGrant, EscrowLedger } from '../escrow-ledger.js';
import type { RedisPockets, ShortPocket } from './redis-pockets.js';

/** What became of a refill. */
export type Refill =
  /** All that was asked for is granted: to hold again finds it, unless others were faster. */
  | { readonly outcome: 'filled' }
  /** Nothing is available beside the escrow any more: what the pocket lacks now, the account lacks. */
  | { readonly outcome: 'exhausted'; readonly escrowId: string; readonly returningNano: bigint }
  /** The escrow grows no more; the next hold begins another one. */
  | { readonly outcome: 'replaced' }
  /** The account does not exist or may spend nothing new. */
  | { readonly outcome: 'barred'; readonly availableNano: bigint };

/** Hears of each refill that was carried out; `failed`: Postgres or Redis was away. */
export type RefillListener = (result: Refill['outcome'] | 'failed') => void;

/** One request that waits, or a pocket below its low-water mark, which needs nothing yet. */
type Ask = Pick<ShortPocket, 'escrowId' | 'baseNano' | 'needNano'>;

interface Gathering {
  readonly asks: Ask[];
  readonly refill: Promise<Refill>;
}

const EMPTY_TTL_MS = 1_000;
const EMPTY_ACCOUNTS_MAX = 10_000;

/**
 * Fills pockets from Postgres. Requests of one account that come up short together share one round trip: it asks for a total that
 * covers all of them, so it does not matter how many gateways ask for how much.
 *
 * A request never takes the answer of a refill that began before it: money that came in meanwhile would be overlooked. It waits, and
 * shares the next one.
 */
export class EscrowRefills {
  private readonly running = new Map<string, Promise<unknown>>();
  private readonly gathering = new Map<string, Gathering>();
  /** Accounts without anything available, for a second: a caller that goes on asking must not keep Postgres busy. */
  private readonly empty = new LRUCache<string, Extract<Refill, { outcome: 'exhausted' }>>({
    max: EMPTY_ACCOUNTS_MAX,
    ttl: EMPTY_TTL_MS,
  });
  /** Counts how often balances may have changed, so that an answer from before is not remembered after. */
  private changes = 0;

  constructor(
    private readonly pockets: RedisPockets,
    private readonly ledger: EscrowLedger,
    private readonly onRefill: RefillListener = () => undefined,
  ) {}

  /** @throws HoldStoreUnavailableError where Postgres cannot decide, RedisAwayError where Redis cannot be told. */
  fill(accountId: string, ask: Ask): Promise<Refill> {
    const empty = this.empty.get(accountId);
    if (empty?.escrowId === ask.escrowId) return Promise.resolve(empty);
    const open = this.gathering.get(accountId);
    if (open !== undefined) {
      open.asks.push(ask);
      return open.refill;
    }
    const asks = [ask];
    const refill = this.fillGathered(accountId, asks);
    this.gathering.set(accountId, { asks, refill });
    return refill;
  }

  /** Fills up off the request path; whether it succeeds shows when the pocket is short. */
  fillAhead(accountId: string, ask: Pick<Ask, 'escrowId' | 'baseNano'>): void {
    if (this.gathering.has(accountId) || this.running.has(accountId)) return;
    this.fill(accountId, { ...ask, needNano: 0n }).catch(() => undefined);
  }

  /** Balances may have changed: no account counts as empty any more. */
  forgetEmpty(): void {
    this.changes += 1;
    this.empty.clear();
  }

  /** Resolves when no refill runs. */
  async settle(): Promise<void> {
    while (this.gathering.size > 0 || this.running.size > 0) {
      await Promise.allSettled([
        ...this.running.values(),
        ...[...this.gathering.values()].map(({ refill }) => refill),
      ]);
    }
  }

  private async fillGathered(accountId: string, asks: readonly Ask[]): Promise<Refill> {
    // The answers of other requests may be in the same read of the socket.
    await setImmediate();
    while (this.running.has(accountId)) await this.running.get(accountId)?.catch(() => undefined);
    this.gathering.delete(accountId);
    const run = this.fillOnce(accountId, asks);
    this.running.set(accountId, run);
    try {
      const refill = await run;
      this.onRefill(refill.outcome);
      return refill;
    } catch (error) {
      this.onRefill('failed');
      throw error;
    } finally {
      this.running.delete(accountId);
    }
  }

  private async fillOnce(accountId: string, asks: readonly Ask[]): Promise<Refill> {
    const { escrowId, totalNano } = totalOf(asks);
    const { changes } = this;
    const grant = await this.ledger.grant(accountId, escrowId, totalNano);
    faultPoint('g.grant.ok');
    if (grant.outcome === 'unknown_account' || grant.outcome === 'suspended') {
      return { outcome: 'barred', availableNano: grant.availableNano };
    }
    if (grant.outcome === 'closing' || !(await this.pockets.grant(accountId, escrowId, grant))) {
      // What was just granted to a pocket that is gone starts its way back at once.
      await this.ledger.shut(escrowId, await this.pockets.shut(accountId, escrowId));
      return { outcome: 'replaced' };
    }
    return this.outcomeOf(accountId, { escrowId, totalNano, grant, changes });
  }

  private outcomeOf(
    accountId: string,
    facts: { escrowId: string; totalNano: bigint; grant: EscrowGrant; changes: number },
  ): Refill {
    const { escrowId, totalNano, grant, changes } = facts;
    if (grant.grantedNano >= totalNano) return { outcome: 'filled' };
    const exhausted: Refill = { outcome: 'exhausted', escrowId, returningNano: grant.returningNano };
    if (changes === this.changes) this.empty.set(accountId, exhausted);
    return exhausted;
  }
}

/** One total for all that wait for the same escrow: the newest, because a pocket may be replaced meanwhile. */
function totalOf(asks: readonly Ask[]): { escrowId: string; totalNano: bigint } {
  const escrowId = asks[asks.length - 1]?.escrowId ?? '';
  const same = asks.filter((ask) => ask.escrowId === escrowId);
  const base = same.reduce((most, { baseNano }) => (baseNano > most ? baseNano : most), 0n);
  return { escrowId, totalNano: same.reduce((sum, { needNano }) => sum + needNano, base) };
}
