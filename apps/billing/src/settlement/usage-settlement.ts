import { Inject, Injectable } from '@nestjs/common';
import type { ParsedUsageJob, UsageEvent } from '@tollgate/contracts';
import { poolSql, quarantineEvent, settleBatch } from '@tollgate/ledger';
import { readPrice } from '@tollgate/persistence';
import { computeCost, type Price } from '@tollgate/pricing';
import { LRUCache } from 'lru-cache';
import type { Pool } from 'pg';
import { BILLING_CONTEXT, BILLING_POOL, type BillingContext } from '../billing-context.js';

const PRICES_MAX = 10_000;

/** Brings usage events into the ledger. What can never settle goes to quarantine and stops nothing else. */
@Injectable()
export class UsageSettlement {
  /** Prices never change, so they need no forgetting but for memory. */
  private readonly prices = new LRUCache<string, Price>({ max: PRICES_MAX });

  constructor(
    @Inject(BILLING_POOL) private readonly pool: Pool,
    @Inject(BILLING_CONTEXT) private readonly context: BillingContext,
  ) {}

  /** Settles a job's events. Rejects only for what may be better next time: then the whole job is tried again. */
  async settle(job: ParsedUsageJob): Promise<void> {
    for (const { body, reason } of job.malformed) await this.quarantine(body, `malformed: ${reason}`);
    const sound: UsageEvent[] = [];
    for (const event of job.events) {
      const problem = await this.costProblem(event);
      if (problem === null) sound.push(event);
      else await this.quarantine(event, problem);
    }
    for (const result of await settleBatch(poolSql(this.pool), sound)) {
      const { requestId } = result;
      if (result.outcome === 'quarantined') {
        this.context.logger.error({ requestId, reason: result.reason }, 'a usage event is in quarantine');
      } else if (result.absorbedNano > 0n) {
        const absorbedNano = result.absorbedNano.toString();
        this.context.logger.error(
          { requestId, absorbedNano },
          'a cost was absorbed: it exceeded hold and balance',
        );
      }
    }
  }

  /** Reckons the cost again from the price that was pinned: gateway and billing have to agree to the last unit. */
  private async costProblem(event: UsageEvent): Promise<string | null> {
    const price = await this.findPrice(event.priceId);
    if (price === null) return 'unknown_price';
    const { units, multiplierPpm, billable } = event;
    const costNano = billable ? computeCost({ price, units, multiplierPpm }) : 0n;
    return costNano === BigInt(event.costNano) ? null : 'cost_mismatch';
  }

  private async findPrice(priceId: string): Promise<Price | null> {
    const known = this.prices.get(priceId);
    if (known !== undefined) return known;
    const price = await readPrice(this.pool, priceId);
    if (price !== null) this.prices.set(priceId, price);
    return price;
  }

  private async quarantine(body: unknown, reason: string): Promise<void> {
    this.context.logger.error({ reason }, 'a usage event is in quarantine');
    await quarantineEvent(poolSql(this.pool), { body, reason });
  }
}
