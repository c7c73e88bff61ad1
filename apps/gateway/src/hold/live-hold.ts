import type { HoldStore } from '@tollgate/ledger';
import { OUTPUT_SLICE_TOKENS, type HoldSize } from './hold-size.js';

/** A request's hold while the request runs. It grows ahead of the output that it covers. */
export class LiveHold {
  /** Output tokens that the hold covers. */
  private covered: number;
  private growing: Promise<void> | null = null;
  private refused = false;
  /** Monotonic milliseconds at which the store last confirmed the hold. */
  renewedAtMs = performance.now();

  constructor(
    readonly requestId: string,
    readonly accountId: string,
    /** Nano-credits that the hold began with. */
    readonly grantedNano: bigint,
    /** Nano-credits that the account had left beside it then. */
    readonly availableNano: bigint,
    private readonly size: HoldSize,
    private readonly outputCap: number,
    private readonly store: Pick<HoldStore, 'hold'>,
  ) {
    this.covered = size.outputTokensFor(grantedNano);
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
      const result = await this.store.hold({
        requestId,
        accountId,
        totalNano: this.size.totalNanoFor(target),
        leastNano: this.size.totalNanoFor(needed),
      });
      this.refused = result.outcome !== 'held';
      if (result.outcome !== 'held') return;
      this.covered = Math.max(this.covered, this.size.outputTokensFor(result.grantedNano));
      this.renewedAtMs = performance.now();
    } catch {
      this.refused = true;
    }
  }
}
