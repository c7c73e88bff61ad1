import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { ensureUsageMonths } from '@tollgate/persistence';
import { repeatTask } from '@tollgate/runtime';
import type { Pool } from 'pg';
import { BILLING_CONTEXT, BILLING_POOL, type BillingContext } from '../billing-context.js';

const INTERVAL_MS = 6 * 60 * 60 * 1_000;
const MONTHS_AHEAD = 3;

/** Makes the coming months of usage while there is time: a process may run longer than those that migrating made. */
@Injectable()
export class UsageMonths implements OnApplicationBootstrap, BeforeApplicationShutdown {
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
        const made = await ensureUsageMonths(this.pool, MONTHS_AHEAD);
        if (made > 0) logger.info({ made }, 'made months of usage');
      },
      onError: (error) => logger.error({ err: error }, 'could not make the coming months of usage'),
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.task?.stop();
  }
}
