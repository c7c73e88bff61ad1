import type { KnownPrice } from './exact-cost.js';

/** What must not be. */
export interface Violation {
  readonly rule: string;
  /** The request or account that it is about. */
  readonly ref: string;
  readonly detail: string;
}

/** What is known to whoever judges. */
export interface Jury {
  readonly prices: ReadonlyMap<string, KnownPrice>;
  /** How long a price may be known late: a gateway that is cut off from Postgres goes on with what it has. */
  readonly priceDelayMs: number;
  /** How long a stream goes on whose hold nobody could renew: a gateway that was frozen for longer may come too late for its money. */
  readonly fenceMs: number;
  /** How long a hold lives that nobody renews: usage that comes later may find its money spent. */
  readonly holdLifeMs: number;
}
