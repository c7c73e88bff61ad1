import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { checkBooks, poolSql, readBookState, sumEscrows } from '@tollgate/ledger';
import { repeatTask } from '@tollgate/runtime';
import type { Pool } from 'pg';
import { BILLING_CONTEXT, BILLING_POOL, type BillingContext } from '../billing-context.js';

const INTERVAL_MS = 60_000;
/** A little less than the interval, so that one process is not a second late for ever. */
const EVERY_SECONDS = 50;
const ACCOUNTS_MAX = 2_000;

/**
 * Checks every minute the books of the accounts that changed, in one process of all. An account whose books are wrong gets no new
 * escrow until an operator has looked.
 */
@Injectable()
export class BooksCheck implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private task: ReturnType<typeof repeatTask> | null = null;
  private first: Promise<void> = Promise.resolve();

  constructor(
    @Inject(BILLING_POOL) private readonly pool: Pool,
    @Inject(BILLING_CONTEXT) private readonly context: BillingContext,
  ) {}

  onApplicationBootstrap(): void {
    const onError = (error: unknown): void =>
      this.context.logger.warn({ err: error }, 'could not check the books');
    this.task = repeatTask({ intervalMs: INTERVAL_MS, run: () => this.check(), onError });
    this.first = this.check().catch(onError);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.task?.stop();
    await this.first;
  }

  private async check(): Promise<void> {
    const { logger, metrics } = this.context;
    const sql = poolSql(this.pool);
    const pass = await checkBooks(sql, { everySeconds: EVERY_SECONDS, accountsMax: ACCOUNTS_MAX });
    for (const { accountId, violations, isNew } of pass?.wrong ?? []) {
      if (!isNew) continue;
      logger.error({ accountId, violations }, 'the books of an account are wrong: it gets no new escrow');
    }
    metrics.books = await readBookState(sql);
    metrics.escrows = await sumEscrows(sql);
  }
}
