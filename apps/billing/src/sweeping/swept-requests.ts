import { Inject, Injectable } from '@nestjs/common';
import { CostCheck, poolSql, settleSwept, type OverdueHold, type SweptHold } from '@tollgate/ledger';
import type { Pool } from 'pg';
import { BILLING_CONTEXT, BILLING_POOL, type BillingContext } from '../billing-context.js';

/** Settles requests whose gateway was not heard of any more at their last checkpoint, whichever store has their hold. */
@Injectable()
export class SweptRequests {
  private readonly costs = new CostCheck();

  constructor(
    @Inject(BILLING_POOL) private readonly pool: Pool,
    @Inject(BILLING_CONTEXT) private readonly context: BillingContext,
  ) {}

  /** Answers with what each hold is to be closed. Rejects where Postgres does not answer: then all may come again. */
  async settle(holds: readonly OverdueHold[]): Promise<SweptHold[]> {
    const { logger, metrics } = this.context;
    const swept = await settleSwept(poolSql(this.pool), this.costs, holds);
    metrics.settlements.count(swept.flatMap(({ settlement }) => settlement ?? []));
    for (const { hold, settlement } of swept) {
      const { requestId, accountId } = hold;
      if (settlement?.outcome === 'quarantined') {
        logger.error({ requestId, reason: settlement.reason }, 'a checkpoint is in quarantine');
      } else if (settlement?.outcome === 'settled') {
        const chargedNano = settlement.chargedNano.toString();
        logger.warn({ requestId, accountId, chargedNano }, 'a hold expired: charged what had been delivered');
      } else {
        logger.warn({ requestId, accountId }, 'a hold expired');
      }
    }
    return swept;
  }
}
