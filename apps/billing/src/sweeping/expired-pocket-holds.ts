import { getQueueToken } from '@nestjs/bullmq';
import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { USAGE_QUEUE } from '@tollgate/contracts';
import type { OverdueHold } from '@tollgate/ledger';
import { faultPoint, repeatTask, scaledMs } from '@tollgate/runtime';
import type { Queue } from 'bullmq';
import { BILLING_CONTEXT, type BillingContext } from '../billing-context.js';
import { POCKETS, type PocketAccess, type Pockets } from './pockets.js';
import { readQueueHorizon } from './queue-horizon.js';
import { SweptRequests } from './swept-requests.js';

const SWEEP_INTERVAL_MS = scaledMs(5_000);
const SHARD_HOLDS_MAX = 200;

/**
 * Ends the holds in Redis that nobody renewed in time. Redis does not say how long they are overdue, so each is swept in a
 * later round than the one that first saw it, and once the queue is past that moment.
 *
 * Several processes may do this: settling takes each request once, and a second close finds no hold.
 */
@Injectable()
export class ExpiredPocketHolds
  implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  private task: ReturnType<typeof repeatTask> | null = null;
  /** Milliseconds since the epoch at which a request was first seen overdue. */
  private seenAtMs = new Map<string, number>();

  constructor(
    @Inject(BILLING_CONTEXT) private readonly context: BillingContext,
    @Inject(POCKETS) private readonly access: PocketAccess,
    @Inject(getQueueToken(USAGE_QUEUE)) private readonly queue: Queue,
    @Inject(SweptRequests) private readonly requests: SweptRequests,
  ) {}

  onApplicationBootstrap(): void {
    const { pockets } = this.access;
    if (pockets === null) return;
    this.task = repeatTask({
      intervalMs: SWEEP_INTERVAL_MS,
      run: () => this.sweep(pockets),
      onError: (error) => this.context.logger.warn({ err: error }, 'could not end expired holds in Redis'),
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.task?.stop();
  }

  onApplicationShutdown(): void {
    this.access.close();
  }

  private async sweep(pockets: Pockets): Promise<void> {
    const queueClearUntil = await readQueueHorizon(this.queue);
    const seenAtMs = new Map<string, number>();
    for (const shard of this.access.shards) {
      const overdue = await pockets.expired(shard, SHARD_HOLDS_MAX);
      for (const { requestId } of overdue) {
        seenAtMs.set(requestId, this.seenAtMs.get(requestId) ?? Date.now());
      }
      const ripe = overdue.filter(({ requestId }) => {
        const seen = this.seenAtMs.get(requestId);
        return seen !== undefined && queueClearUntil !== null && seen < queueClearUntil.getTime();
      });
      await this.end(pockets, ripe);
    }
    // Those that were swept or renewed are not overdue any more.
    this.seenAtMs = seenAtMs;
  }

  private async end(pockets: Pockets, holds: readonly OverdueHold[]): Promise<void> {
    if (holds.length === 0) return;
    const swept = await this.requests.settle(holds);
    faultPoint('w.sweep.ok');
    this.context.metrics.countExpired(holds.map(({ totalNano }) => ({ amountNano: totalNano })));
    for (const { hold, costNano } of swept) await pockets.close(hold.requestId, hold.accountId, costNano);
  }
}
