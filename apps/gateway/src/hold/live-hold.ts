import type { UsageEvent } from '@tollgate/contracts';
import { sweptUsage, type HoldResult, type HoldStore } from '@tollgate/ledger';
import { scaledMs } from '@tollgate/runtime';
import { OUTPUT_SLICE_TOKENS, type HoldSize } from './hold-size.js';

type Held = Extract<HoldResult, { outcome: 'held' }>;

/** What runs on a hold that was not renewed for so long ends: billing may free the hold soon after. */
const UNRENEWED_MAX_MS = scaledMs(60_000);

/** What a hold asks of those who keep it. */
export interface HoldKeepers {
  readonly store: Pick<HoldStore, 'hold'>;
  /** Renews the hold with its checkpoint, in the background. */
  readonly renew: (hold: LiveHold) => void;
  /** Told once that the hold was not renewed in time. */
  readonly lost: (hold: LiveHold) => void;
}

/** A request's hold while the request runs. It grows ahead of the output that it covers. */
export class LiveHold {
  /** Output tokens that the hold covers. */
  private covered: number;
  private growing: Promise<void> | null = null;
  private refused = false;
  /** Nano-credits that the hold began with. */
  readonly grantedNano: bigint;
  /** Nano-credits that the account had left beside it then. */
  readonly availableNano: bigint;
  /** The hold's total as of now, in nano-credits. */
  private totalNano: bigint;
  private escrow: string | null;
  /** Monotonic milliseconds at which the store last confirmed the hold. */
  private renewedAtMs = performance.now();
  private wasLost = false;
  private onLost: () => void = () => undefined;
  private usage: (() => UsageEvent) | null = null;
  private ended = false;

  constructor(
    readonly requestId: string,
    readonly accountId: string,
    held: Held,
    private readonly size: HoldSize,
    private readonly outputCap: number,
    private readonly keepers: HoldKeepers,
  ) {
    this.covered = size.outputTokensFor(held.grantedNano);
    this.grantedNano = held.grantedNano;
    this.availableNano = held.availableNano;
    this.totalNano = held.grantedNano;
    this.escrow = held.escrowId;
  }

  /** The request's usage event, with the escrow that its cost is drawn from; as it is where the hold is a row of its own. */
  drawnOn(event: UsageEvent): UsageEvent {
    return this.escrow === null ? event : { ...event, escrowId: this.escrow };
  }

  /**
   * The first byte of the answer is there: from now on the request is not free any more if its gateway dies. `usage` says what
   * it would cost if it ended now; it is asked at once, and with each renewal.
   */
  answerBegins(usage: () => UsageEvent): void {
    this.usage = usage;
    this.keepers.renew(this);
  }

  /** The request is over and has this usage; its hold is kept until the event is accepted. */
  end(event: UsageEvent): void {
    this.ended = true;
    this.usage = () => event;
  }

  /** The request is over. */
  get hasEnded(): boolean {
    return this.ended;
  }

  /** What is to be settled if nobody renews the hold again, at most the hold; null: nothing came from the upstream yet. */
  get checkpoint(): UsageEvent | null {
    if (this.usage === null) return null;
    const { requestId, accountId, escrow: escrowId, totalNano } = this;
    const checkpoint = this.usage();
    return sweptUsage(checkpoint, { requestId, accountId, escrowId, totalNano, checkpoint });
  }

  /** The store has confirmed the hold. */
  renewed(): void {
    this.renewedAtMs = performance.now();
  }

  /**
   * Whether the hold went without being confirmed for too long while its request ran, because the store was away or this process
   * was stopped. What is lost stays lost, even where the store has the hold again: its request may have been settled meanwhile.
   */
  noticeLoss(): boolean {
    if (!this.wasLost && !this.ended && performance.now() - this.renewedAtMs > UNRENEWED_MAX_MS) {
      this.wasLost = true;
      this.keepers.lost(this);
      this.onLost();
    }
    return this.wasLost;
  }

  /** The hold was lost, as far as somebody has noticed. */
  get isLost(): boolean {
    return this.wasLost;
  }

  /** Calls `listener` once when the hold is lost, now if it is already. */
  whenLost(listener: () => void): void {
    this.onLost = listener;
    if (this.wasLost) listener();
  }

  /**
   * Holds again what the hold covered, after the store has lost it or moved its money.
   * @throws HoldStoreUnavailableError
   */
  async holdAgain(): Promise<boolean> {
    const { requestId, accountId, totalNano } = this;
    const result = await this.keepers.store.hold({ requestId, accountId, totalNano });
    if (result.outcome === 'held') this.confirm(result);
    return result.outcome === 'held';
  }

  /** Output tokens that the hold covers now. */
  get coveredOutputTokens(): number {
    return this.covered;
  }

  /**
   * Whether the hold covers so many output tokens. Asks for more in the background once three quarters of it are used
   * up, and waits for that only where nothing is left; so mostly this answers at once.
   */
  covers(outputTokens: number): boolean | Promise<boolean> {
    const needed = Math.min(outputTokens, this.outputCap);
    if (needed * 4 >= this.covered * 3 && this.covered < this.outputCap) this.grow(needed);
    if (needed <= this.covered) return true;
    return this.growing === null ? false : this.growing.then(() => needed <= this.covered);
  }

  private grow(needed: number): void {
    if (this.growing !== null || (this.refused && needed <= this.covered)) return;
    const target = Math.min(this.outputCap, Math.max(needed, this.covered) + OUTPUT_SLICE_TOKENS);
    this.growing = this.extend(target, needed).finally(() => {
      this.growing = null;
    });
  }

  /** A store that cannot be reached is no refusal by the account, but nothing more may be served either. */
  private async extend(target: number, needed: number): Promise<void> {
    try {
      const { requestId, accountId } = this;
      const result = await this.keepers.store.hold({
        requestId,
        accountId,
        totalNano: this.size.totalNanoFor(target),
        leastNano: this.size.totalNanoFor(needed),
      });
      this.refused = result.outcome !== 'held';
      if (result.outcome !== 'held') return;
      this.covered = Math.max(this.covered, this.size.outputTokensFor(result.grantedNano));
      this.confirm(result);
    } catch {
      this.refused = true;
    }
  }

  private confirm({ grantedNano, escrowId }: Held): void {
    this.totalNano = grantedNano;
    this.escrow = escrowId;
    this.renewed();
  }
}
