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
    const costNano = await this.costOf(sql, event);
    if (costNano === null) return 'unknown_price';
    // What is swept costs at most its hold, and so perhaps less than was delivered.
    const isSound =
      event.swept === true ? BigInt(event.costNano) <= costNano : BigInt(event.costNano) === costNano;
    return isSound ? null : 'cost_mismatch';
  }

  /** What the event's units cost at its pinned price, in nano-credits; null if there is no such price. */
  async costOf(
    sql: Sql,
    { priceId, units, multiplierPpm, billable }: Omit<UsageEvent, 'costNano'>,
  ): Promise<bigint | null> {
    const price = await this.findPrice(sql, priceId);
    if (price === null) return null;
    return billable ? computeCost({ price, units, multiplierPpm }) : 0n;
  }

  private async findPrice(sql: Sql, priceId: string): Promise<Price | null> {
    const known = this.prices.get(priceId);
    if (known !== undefined) return known;
    const price = await readPrice(sql, priceId);
    if (price !== null) this.prices.set(priceId, price);
    return price;
  }
}
