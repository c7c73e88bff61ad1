import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { poolSql, purgeReservations } from '@tollgate/ledger';
import { repeatTask } from '@tollgate/runtime';
import type { Pool } from 'pg';
import { BILLING_CONTEXT, BILLING_POOL, type BillingContext } from '../billing-context.js';

const INTERVAL_MS = 60_000;
const ROWS_MAX = 5_000;
/** Statements of one run: 250,000 rows a minute, more than 4,000 requests a second leave behind. */
const STATEMENTS_MAX = 50;

/** Deletes what is left of holds and escrows that were closed a week ago. */
@Injectable()
export class EndedHolds implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private task: ReturnType<typeof repeatTask> | null = null;
  private isStopping = false;

  constructor(
    @Inject(BILLING_POOL) private readonly pool: Pool,
    @Inject(BILLING_CONTEXT) private readonly context: BillingContext,
  ) {}

  onApplicationBootstrap(): void {
    this.task = repeatTask({
      intervalMs: INTERVAL_MS,
      run: () => this.purge(),
      onError: (error) => this.context.logger.warn({ err: error }, 'could not delete holds that ended'),
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.isStopping = true;
    await this.task?.stop();
  }

  private async purge(): Promise<void> {
    for (let statement = 0; statement < STATEMENTS_MAX && !this.isStopping; statement += 1) {
      if ((await purgeReservations(poolSql(this.pool), ROWS_MAX)) < ROWS_MAX) return;
    }
  }
}
