import { Inject, Injectable } from '@nestjs/common';
import type { ParsedUsageJob } from '@tollgate/contracts';
import { CostCheck, poolSql, quarantineEvent, settleUsage, type Sql } from '@tollgate/ledger';
import type { Pool } from 'pg';
import { BILLING_CONTEXT, BILLING_POOL, type BillingContext } from '../billing-context.js';

/** Brings usage events into the ledger. What can never settle goes to quarantine and stops nothing else. */
@Injectable()
export class UsageSettlement {
  private readonly sql: Sql;
  private readonly costs = new CostCheck();

  constructor(
    @Inject(BILLING_POOL) pool: Pool,
    @Inject(BILLING_CONTEXT) private readonly context: BillingContext,
  ) {
    this.sql = poolSql(pool);
  }

  /** Settles a job's events. Rejects only for what may be better next time: then the whole job is tried again. */
  async settle(job: ParsedUsageJob): Promise<void> {
    const { logger, metrics } = this.context;
    for (const { body, reason } of job.malformed) {
      logger.error({ reason }, 'a malformed usage event is in quarantine');
      await quarantineEvent(this.sql, { body, reason: `malformed: ${reason}` });
      metrics.settlements.countQuarantined();
    }
    const results = await settleUsage(this.sql, this.costs, job.events);
    metrics.settlements.count(results);
    for (const result of results) {
      const { requestId, reason } = result;
      const traceId = job.traces.get(requestId)?.split('-')[1];
      if (result.outcome === 'quarantined') {
        logger.error({ requestId, traceId, reason }, 'a usage event is in quarantine');
      } else if (result.absorbedNano > 0n) {
        const absorbedNano = result.absorbedNano.toString();
        logger.error(
          { requestId, traceId, absorbedNano },
          'a cost was absorbed: it exceeded hold and balance',
        );
      }
    }
  }
}
