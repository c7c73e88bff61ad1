import type { Settings } from '@tollgate/persistence';
import type { Price } from '@tollgate/pricing';

/** One usable upstream of a model. */
export interface Deployment {
  readonly id: string;
  readonly name: string;
  readonly origin: string;
  /** The base URL's path without a trailing slash: `/v1`. */
  readonly basePath: string;
  readonly credential: string;
  readonly upstreamModel: string;
  /** The APIs that it has; null where nobody said. */
  readonly apis: readonly string[] | null;
  /** Higher ones are tried first. */
  readonly priority: number;
  readonly weight: number;
  readonly firstByteTimeoutMs: number;
  /** Whether the upstream is told which trace a request belongs to. */
  readonly forwardTraceContext: boolean;
}

/** A model as callers know it. */
export interface CatalogModel {
  readonly name: string;
  /** How the operator shows it to people; its name where nothing else was given. */
  readonly displayName: string;
  readonly ownedBy: string;
  readonly createdAtMs: number;
  readonly contextTokens: number | null;
  readonly outputTokensMax: number | null;
  readonly deployments: readonly Deployment[];
  /** The prices in force, by plan. */
  readonly prices: ReadonlyMap<string, Price>;
}

/** A model that can be sold at this moment, with the price that is pinned to the request. */
export interface Offer {
  readonly model: CatalogModel;
  readonly price: Price;
}

const DEFAULT_PLAN = 'default';

/** Models, deployments, prices and settings as one snapshot that never changes; a change makes a new one. */
export class Catalog {
  constructor(
    /** The database's catalog version that this snapshot was read at. */
    readonly version: bigint,
    private readonly models: ReadonlyMap<string, CatalogModel>,
    /** Milliseconds after which the snapshot is out of date, because a price comes into force; null if none is waiting. */
    readonly nextPriceInMs: number | null,
    readonly settings: Settings,
  ) {}

  /** The model at the price in force for the plan; null without a price, a deployment, or the model itself. */
  find(name: string, plan: string): Offer | null {
    const model = this.models.get(name);
    return model === undefined ? null : this.offer(model, plan);
  }

  /** Every model that can be sold to the plan, by name. */
  list(plan: string): Offer[] {
    const offers = [...this.models.values()].map((model) => this.offer(model, plan));
    return offers.filter((offer) => offer !== null);
  }

  private offer(model: CatalogModel, plan: string): Offer | null {
    if (model.deployments.length === 0) return null;
    const price = model.prices.get(plan) ?? model.prices.get(DEFAULT_PLAN);
    return price === undefined ? null : { model, price };
  }
}
