import { getQueueToken } from '@nestjs/bullmq';
import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { USAGE_QUEUE } from '@tollgate/contracts';
import { closeSweptHolds, expireHolds, poolSql, type ExpiredHold } from '@tollgate/ledger';
import { repeatTask, scaledMs } from '@tollgate/runtime';
import type { Queue } from 'bullmq';
import type { Pool } from 'pg';
import { BILLING_CONTEXT, BILLING_POOL, type BillingContext } from '../billing-context.js';
import { readQueueHorizon } from './queue-horizon.js';
import { SweptRequests } from './swept-requests.js';

const SWEEP_INTERVAL_MS = scaledMs(5_000);
const SWEEP_ROWS_MAX = 500;

/**
 * Ends the holds in Postgres of requests whose gateway has died: nobody renewed them for their whole life of 90 s. What had
 * been delivered is settled, the rest is free. Whatever was published before waits in the queue no more.
 */
@Injectable()
export class ExpiredHolds implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private task: ReturnType<typeof repeatTask> | null = null;

  constructor(
    @Inject(BILLING_POOL) private readonly pool: Pool,
    @Inject(BILLING_CONTEXT) private readonly context: BillingContext,
    @Inject(getQueueToken(USAGE_QUEUE)) private readonly queue: Queue,
    @Inject(SweptRequests) private readonly requests: SweptRequests,
  ) {}

  onApplicationBootstrap(): void {
    this.task = repeatTask({
      intervalMs: SWEEP_INTERVAL_MS,
      run: () => this.sweep(),
      onError: (error) => this.context.logger.warn({ err: error }, 'could not end expired holds'),
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.task?.stop();
  }

  private async sweep(): Promise<void> {
    const queueClearUntil = await readQueueHorizon(this.queue);
    if (queueClearUntil === null) return;
    const sql = poolSql(this.pool);
    for (;;) {
      const expired = await expireHolds(sql, SWEEP_ROWS_MAX, { queueClearUntil });
      this.context.metrics.countExpired(expired);
      this.tellLost(expired);
      const swept = await this.requests.settle(
        expired.map(({ requestId, accountId, amountNano, checkpoint }) => ({
          requestId,
          accountId,
          checkpoint,
          escrowId: null,
          totalNano: amountNano,
        })),
      );
      await closeSweptHolds(sql, swept);
      if (expired.length < SWEEP_ROWS_MAX) return;
    }
  }

  private tellLost(expired: readonly ExpiredHold[]): void {
    for (const { requestId, accountId, amountNano, wasOver } of expired) {
      if (!wasOver) continue;
      this.context.metrics.usageLost.add(1);
      const costNano = amountNano.toString();
      this.context.logger.error(
        { requestId, accountId, costNano },
        'the usage of a finished request was lost: queue and journal do not have it',
      );
    }
  }
}
