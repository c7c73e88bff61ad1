import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { expireHolds, poolSql } from '@tollgate/ledger';
import type { Pool } from 'pg';
import { BILLING_CONTEXT, BILLING_POOL, type BillingContext } from '../billing-context.js';

const SWEEP_INTERVAL_MS = 5_000;
const SWEEP_ROWS_MAX = 500;

/** Frees the holds of requests whose gateway has died: nobody renewed them for their whole life of 90 s. */
@Injectable()
export class ExpiredHolds implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private timer: NodeJS.Timeout | null = null;
  private sweeping: Promise<void> = Promise.resolve();

  constructor(
    @Inject(BILLING_POOL) private readonly pool: Pool,
    @Inject(BILLING_CONTEXT) private readonly context: BillingContext,
  ) {}

  onApplicationBootstrap(): void {
    this.schedule();
  }

  async beforeApplicationShutdown(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer);
    await this.sweeping;
  }

  private schedule(): void {
    this.timer = setTimeout(() => {
      this.sweeping = this.sweep().then(() => {
        if (!this.context.health.isDraining) this.schedule();
      });
    }, SWEEP_INTERVAL_MS);
  }

  private async sweep(): Promise<void> {
    const { logger } = this.context;
    try {
      for (;;) {
        const expired = await expireHolds(poolSql(this.pool), SWEEP_ROWS_MAX);
        for (const { requestId, accountId } of expired) {
          logger.warn({ requestId, accountId }, 'a hold expired');
        }
        if (expired.length < SWEEP_ROWS_MAX) return;
      }
    } catch (error) {
      logger.warn({ err: error }, 'could not free expired holds');
    }
  }
}
