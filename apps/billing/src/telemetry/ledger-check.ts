import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { countLedgerViolations } from '@tollgate/persistence';
import { repeatTask } from '@tollgate/runtime';
import type { Pool } from 'pg';
import { BILLING_CONTEXT, BILLING_POOL, type BillingContext } from '../billing-context.js';

const INTERVAL_MS = 60_000;
const QUERY_TIMEOUT_MS = 20_000;
/** The check reads whole tables: it may take a tenth of the time, no more. */
const REST_PER_WORK = 9;

/** Checks every minute that the books are right, and less often where that takes long. */
@Injectable()
export class LedgerCheck implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private task: ReturnType<typeof repeatTask> | null = null;
  private restUntilMs = Number.NEGATIVE_INFINITY;

  constructor(
    @Inject(BILLING_POOL) private readonly pool: Pool,
    @Inject(BILLING_CONTEXT) private readonly context: BillingContext,
  ) {}

  onApplicationBootstrap(): void {
    const { logger } = this.context;
    this.task = repeatTask({
      intervalMs: INTERVAL_MS,
      run: () => this.check(),
      onError: (error) => logger.warn({ err: error }, 'could not check the books'),
    });
    void this.check().catch(() => undefined);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.task?.stop();
  }

  private async check(): Promise<void> {
    const startedAtMs = performance.now();
    if (startedAtMs < this.restUntilMs) return;
    try {
      const violations = await countLedgerViolations(this.pool, QUERY_TIMEOUT_MS);
      this.context.metrics.ledgerCheck = { violations, endedAtMs: Date.now() };
      if (violations > 0) {
        this.context.logger.error({ violations }, 'the books are wrong: see tollgate.ledger_violation');
      }
    } finally {
      const endedAtMs = performance.now();
      this.restUntilMs = endedAtMs + (endedAtMs - startedAtMs) * REST_PER_WORK;
    }
  }
}
