import assert from 'node:assert/strict';
import { v7 as uuidv7 } from 'uuid';
import type { EscrowLedger } from '../escrow-ledger.js';
import {
  HOLD_TTL_SECONDS,
  HoldStoreUnavailableError,
  type HoldRequest,
  type HoldResult,
  type HoldStore,
  type TouchOutcome,
  type TouchedHold,
} from '../hold-store.js';
import { EscrowRefills, type RefillListener } from './escrow-refills.js';
import type { PocketHold, RedisPockets, ShortPocket } from './redis-pockets.js';

/** How long a request may wait for a pocket that others empty as fast as it is filled. */
const WAIT_MAX_MS = 5_000;

/** When to ask again for money that sits in an escrow which is closing: it is free about two minutes after its pocket went. */
export const RETRY_AFTER_SECONDS = 10;

/**
 * Holds in Redis, of money that Postgres set aside for it. Mostly a hold is one script and no statement: pockets are refilled ahead
 * of the need. An account whose pocket is missing or short pays one round trip to Postgres; only Postgres can refuse.
 *
 * Redis may lose anything at any time. A pocket that it lost, or that may lack what was spent since, is replaced by an empty one
 * with another escrow; the money of the old one is free again two minutes later. Until then an account that cannot do without
 * it gets `set_aside`, never `refused`.
 */
export class RedisHoldStore implements HoldStore {
  private readonly refills: EscrowRefills;
  private closed = false;

  /** `onRefill` is told what became of each time that Postgres was asked to fill a pocket. */
  constructor(
    private readonly pockets: RedisPockets,
    ledger: EscrowLedger,
    onRefill?: RefillListener,
  ) {
    this.refills = new EscrowRefills(pockets, ledger, onRefill);
  }

  /** It never answers `settled`: Redis forgets a request when its hold is closed. */
  async hold(request: HoldRequest): Promise<HoldResult> {
    assert(request.totalNano >= 0n && (request.leastNano ?? 0n) >= 0n, 'a hold is not negative');
    const giveUpAtMs = performance.now() + WAIT_MAX_MS;
    while (performance.now() < giveUpAtMs) {
      const answer = await this.ask(request, request.totalNano);
      if (answer.outcome === 'held') return toHeld(answer);
      const refill = await this.refills.fill(request.accountId, answer);
      if (refill.outcome === 'barred') return { outcome: 'refused', availableNano: refill.availableNano };
      if (refill.outcome !== 'exhausted') continue;
      const last = await this.ask(request, request.leastNano ?? request.totalNano);
      if (last.outcome === 'held') return toHeld(last);
      // A pocket that was replaced meanwhile is empty because nobody has asked for it yet, and says nothing about the account.
      if (last.escrowId === refill.escrowId) return toRefusal(request, last, refill.returningNano);
    }
    throw new HoldStoreUnavailableError('the pocket is emptied as fast as it is filled');
  }

  async touch(holds: readonly TouchedHold[]): Promise<Map<string, TouchOutcome>> {
    this.assertOpen();
    return this.pockets.touch(holds, HOLD_TTL_SECONDS);
  }

  async close(requestId: string, accountId: string, costNano: bigint): Promise<void> {
    assert(costNano >= 0n, 'a cost is not negative');
    this.assertOpen();
    await this.pockets.close(requestId, accountId, costNano);
  }

  /** Balances may have changed: an account that was found empty is looked at again. */
  forgetEmpty(): void {
    this.refills.forgetEmpty();
  }

  /** The connection to Redis stays the caller's to end. */
  async shutdown(): Promise<void> {
    this.closed = true;
    await this.refills.settle();
  }

  private async ask(request: HoldRequest, leastNano: bigint): Promise<PocketHold | ShortPocket> {
    this.assertOpen();
    const { requestId, accountId, totalNano } = request;
    const answer = await this.pockets.hold({
      requestId,
      accountId,
      totalNano,
      leastNano,
      freshEscrowId: uuidv7(),
      ttlSeconds: HOLD_TTL_SECONDS,
    });
    if (answer.outcome === 'held' && answer.wantedNano !== null) {
      this.refills.fillAhead(accountId, { escrowId: answer.escrowId, baseNano: answer.wantedNano });
    }
    return answer;
  }

  private assertOpen(): void {
    if (this.closed) throw new HoldStoreUnavailableError('the hold store is shut down');
  }
}

function toHeld({ grantedNano, freeNano, availableNano, escrowId }: PocketHold): HoldResult {
  return { outcome: 'held', grantedNano, availableNano: freeNano + availableNano, escrowId };
}

/** Nothing is available in Postgres: the pocket's rest is all there is, but for what is still returning from another one. */
function toRefusal(request: HoldRequest, short: ShortPocket, returningNano: bigint): HoldResult {
  const { totalNano, leastNano = totalNano } = request;
  const least = (leastNano < totalNano ? leastNano : totalNano) - short.hasNano;
  if (short.freeNano + returningNano >= least && returningNano > 0n) {
    return { outcome: 'set_aside', retryAfterSeconds: RETRY_AFTER_SECONDS };
  }
  return { outcome: 'refused', availableNano: short.freeNano };
}
