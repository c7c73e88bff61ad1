import type { UsageEvent } from '@tollgate/contracts';
import { readPrice } from '@tollgate/persistence';
import { computeCost, type Price } from '@tollgate/pricing';
import { LRUCache } from 'lru-cache';
import type { Sql } from './sql.js';

const PRICES_MAX = 10_000;

/** Reckons costs again from the prices that were pinned: gateway and ledger have to agree to the last unit. */
export class CostCheck {
  /** Prices never change, so they need no forgetting but for memory. */
  private readonly prices = new LRUCache<string, Price>({ max: PRICES_MAX });

  /** What is wrong with the cost of an event, or null. Rejects where the database does not answer. */
  async problemOf(sql: Sql, event: UsageEvent): Promise<'unknown_price' | 'cost_mismatch' | null> {
    const price = await this.findPrice(sql, event.priceId);
    if (price === null) return 'unknown_price';
    const { units, multiplierPpm, billable } = event;
    const costNano = billable ? computeCost({ price, units, multiplierPpm }) : 0n;
    return costNano === BigInt(event.costNano) ? null : 'cost_mismatch';
  }

  private async findPrice(sql: Sql, priceId: string): Promise<Price | null> {
    const known = this.prices.get(priceId);
    if (known !== undefined) return known;
    const price = await readPrice(sql, priceId);
    if (price !== null) this.prices.set(priceId, price);
    return price;
  }
}
