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
  /** The hold is in place, `grantedNano` in all, and lives for another 90 s. `availableNano` is left beside it. */
  | { readonly outcome: 'held'; readonly grantedNano: bigint; readonly availableNano: bigint }
  /** Not even the least is available; `availableNano` is what is, beside a hold that the request may have already. */
  | { readonly outcome: 'refused'; readonly availableNano: bigint }
  /** The request is over: its hold is closed, or its usage recorded. */
  | { readonly outcome: 'settled' };

/**
 * Sets credits aside for running requests. Every method rejects with HoldStoreUnavailableError where the store cannot
 * decide; no hold was then promised to the caller, and one that was placed all the same expires.
 */
export interface HoldStore {
  /** Places the hold of a request, or extends it to `totalNano`. It never shrinks. */
  hold(request: HoldRequest): Promise<HoldResult>;
  /** Renews holds for another 90 s and answers which of them are still open. */
  touch(requestIds: readonly string[]): Promise<Set<string>>;
  /**
   * The request is over and its usage event accepted: the hold shrinks to `costNano`, which stays set aside until the
   * event is settled; 0 frees it at once. Nothing happens if the hold is not open.
   */
  close(requestId: string, costNano: bigint): Promise<void>;
  /** Finishes what was asked for and refuses more. */
  shutdown(): Promise<void>;
}

/** The store cannot be reached or cannot decide in time. Nothing is known about the account's balance. */
export class HoldStoreUnavailableError extends Error {
  override readonly name = 'HoldStoreUnavailableError';
}
