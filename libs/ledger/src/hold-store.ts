import type { UsageEvent } from '@tollgate/contracts';
import { scaledSeconds } from '@tollgate/runtime';

/** How long a hold lives that nobody renews. */
export const HOLD_TTL_SECONDS = scaledSeconds(90);

/** Asks for credits to be set aside for one request, or for its hold to grow. */
export interface HoldRequest {
  readonly requestId: string;
  readonly accountId: string;
  /** What the hold is to be in all, in nano-credits: an extension names the new total, so asking twice changes nothing. */
  readonly totalNano: bigint;
  /** The smallest total that is of use, in nano-credits; `totalNano` unless told. */
  readonly leastNano?: bigint;
}

export type HoldResult =
  /**
   * The hold is in place, `grantedNano` in all, and lives for another 90 s. `availableNano` is left beside it, as far as the store
   * knows without asking. `escrowId` is the escrow that it draws on; null: a row of its own in Postgres.
   */
  | {
      readonly outcome: 'held';
      readonly grantedNano: bigint;
      readonly availableNano: bigint;
      readonly escrowId: string | null;
    }
  /** Not even the least is available; `availableNano` is what is, beside a hold that the request may have already. */
  | { readonly outcome: 'refused'; readonly availableNano: bigint }
  /**
   * The account may have enough, but part of it is set aside where it can neither be spent nor told free for a while: a pocket that
   * Redis lost, or one that is just returning. To be asked again after so many seconds.
   */
  | { readonly outcome: 'set_aside'; readonly retryAfterSeconds: number }
  /** The request is over: its hold is closed, or its usage recorded. */
  | { readonly outcome: 'settled' };

/** A hold to renew, with what the request would cost if it ended now; null if nothing was delivered yet. */
export interface TouchedHold {
  readonly requestId: string;
  readonly accountId: string;
  /** A whole usage event with `swept`, which is settled if nobody renews the hold again. Null leaves the last one. */
  readonly checkpoint: UsageEvent | null;
}

/** Open: renewed. Gone or moved: its money is not set aside any more, so the request has to hold again to go on. */
export type TouchOutcome = 'open' | 'gone' | 'moved';

/**
 * Sets credits aside for running requests. Every method rejects with HoldStoreUnavailableError where the store cannot
 * decide; no hold was then promised to the caller, and one that was placed all the same expires.
 */
export interface HoldStore {
  /** Places the hold of a request, or extends it to `totalNano`. It never shrinks. */
  hold(request: HoldRequest): Promise<HoldResult>;
  /** Renews holds for another 90 s, takes their checkpoints, and answers each by its request. */
  touch(holds: readonly TouchedHold[]): Promise<Map<string, TouchOutcome>>;
  /**
   * The request is over and its usage event accepted: the hold shrinks to `costNano`, which stays set aside until the
   * event is settled; 0 frees it at once. Nothing happens if the hold is not open.
   */
  close(requestId: string, accountId: string, costNano: bigint): Promise<void>;
  /** Finishes what was asked for and refuses more. */
  shutdown(): Promise<void>;
}

/** The store cannot be reached or cannot decide in time. Nothing is known about the account's balance. */
export class HoldStoreUnavailableError extends Error {
  override readonly name = 'HoldStoreUnavailableError';
}
