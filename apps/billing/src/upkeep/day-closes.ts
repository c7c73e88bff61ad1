import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { closeDays, poolSql } from '@tollgate/ledger';
import { repeatTask } from '@tollgate/runtime';
import type { Pool } from 'pg';
import { BILLING_CONTEXT, BILLING_POOL, type BillingContext } from '../billing-context.js';

const INTERVAL_MS = 60_000;
const PATIENCE_SECONDS = 600;
const DAYS_MAX = 7;

/** Closes each day of UTC once it is over. A day stays open for ten minutes while a transaction from before its end runs. */
@Injectable()
export class DayCloses implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private task: ReturnType<typeof repeatTask> | null = null;

  constructor(
    @Inject(BILLING_POOL) private readonly pool: Pool,
    @Inject(BILLING_CONTEXT) private readonly context: BillingContext,
  ) {}

  onApplicationBootstrap(): void {
    const { logger } = this.context;
    this.task = repeatTask({
      intervalMs: INTERVAL_MS,
      run: async () => {
        const options = { patienceSeconds: PATIENCE_SECONDS, daysMax: DAYS_MAX };
        for (const { day, transferCount, hash } of await closeDays(poolSql(this.pool), options)) {
          logger.info({ day, transfers: transferCount.toString(), hash }, 'closed a day');
        }
      },
      onError: (error) => logger.error({ err: error }, 'could not close a day'),
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.task?.stop();
  }
}
