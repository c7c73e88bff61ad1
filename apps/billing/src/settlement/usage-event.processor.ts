import { OnWorkerEvent, Processor, WorkerHost } from '@nestjs/bullmq';
import { Inject, type BeforeApplicationShutdown } from '@nestjs/common';
import { USAGE_QUEUE, parseUsageJob, usageRetryDelayMs } from '@tollgate/contracts';
import { faultPoint, scaledMs } from '@tollgate/runtime';
import type { Job } from 'bullmq';
import { BILLING_CONTEXT, type BillingContext } from '../billing-context.js';
import { observeJob } from '../telemetry/observed-job.js';
import { UsageSettlement } from './usage-settlement.js';

/** A worker that died holds its jobs for at most lock duration + stalled interval. */
const LOCK_DURATION_MS = scaledMs(15_000);
const STALLED_INTERVAL_MS = scaledMs(5_000);
/** Jobs settled at a time: a second one is prepared while the first waits for Postgres. */
const CONCURRENCY = 2;
/** A job whose worker died is tried again however often that happens: nothing here may end in BullMQ's failed set. */
const STALLED_COUNT_MAX = 1_000_000_000;

/** Takes batches of usage events off the queue. A job is acknowledged only when Postgres has all of its events. */
@Processor(USAGE_QUEUE, {
  concurrency: CONCURRENCY,
  lockDuration: LOCK_DURATION_MS,
  stalledInterval: STALLED_INTERVAL_MS,
  maxStalledCount: STALLED_COUNT_MAX,
  settings: { backoffStrategy: (attemptsMade) => scaledMs(usageRetryDelayMs(attemptsMade)) },
})
export class UsageEventProcessor extends WorkerHost implements BeforeApplicationShutdown {
  constructor(
    @Inject(UsageSettlement) private readonly settlement: UsageSettlement,
    @Inject(BILLING_CONTEXT) private readonly context: BillingContext,
  ) {
    super();
  }

  async process(job: Job): Promise<void> {
    const content = parseUsageJob(job.data);
    faultPoint('w.read');
    await observeJob(this.context, { taken: job, content }, () => this.settlement.settle(content));
    faultPoint('w.commit.ok');
  }

  @OnWorkerEvent('completed')
  onCompleted(): void {
    faultPoint('w.ack.ok');
  }

  @OnWorkerEvent('failed')
  onFailed(job: Job | undefined, error: Error): void {
    const { logger } = this.context;
    logger.warn(
      { err: error, jobId: job?.id, attempts: job?.attemptsMade },
      'a job could not be settled, trying again',
    );
  }

  @OnWorkerEvent('error')
  onError(error: Error): void {
    this.context.logger.warn({ err: error }, 'the queue could not be reached');
  }

  /** Ends the batch at hand before the connections that it needs are closed. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.worker.close();
  }
}
