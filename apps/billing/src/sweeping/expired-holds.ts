import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { expireHolds, poolSql } from '@tollgate/ledger';
import { repeatTask } from '@tollgate/runtime';
import type { Pool } from 'pg';
import { BILLING_CONTEXT, BILLING_POOL, type BillingContext } from '../billing-context.js';

const SWEEP_INTERVAL_MS = 5_000;
const SWEEP_ROWS_MAX = 500;

/** Frees the holds of requests whose gateway has died: nobody renewed them for their whole life of 90 s. */
@Injectable()
export class ExpiredHolds implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private task: ReturnType<typeof repeatTask> | null = null;

  constructor(
    @Inject(BILLING_POOL) private readonly pool: Pool,
    @Inject(BILLING_CONTEXT) private readonly context: BillingContext,
  ) {}

  onApplicationBootstrap(): void {
    this.task = repeatTask({
      intervalMs: SWEEP_INTERVAL_MS,
      run: () => this.sweep(),
      onError: (error) => this.context.logger.warn({ err: error }, 'could not free expired holds'),
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.task?.stop();
  }

  private async sweep(): Promise<void> {
    for (;;) {
      const expired = await expireHolds(poolSql(this.pool), SWEEP_ROWS_MAX);
      this.context.metrics.countExpired(expired);
      for (const { requestId, accountId } of expired) {
        this.context.logger.warn({ requestId, accountId }, 'a hold expired');
      }
      if (expired.length < SWEEP_ROWS_MAX) return;
    }
  }
}
