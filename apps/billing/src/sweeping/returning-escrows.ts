import { getQueueToken } from '@nestjs/bullmq';
import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { USAGE_QUEUE } from '@tollgate/contracts';
import {
  dueEscrows,
  finishEscrows,
  poolSql,
  shutEscrow,
  type EscrowOf,
  type PocketRest,
} from '@tollgate/ledger';
import { faultPoint, repeatTask, scaledMs } from '@tollgate/runtime';
import type { Queue } from 'bullmq';
import type { Pool } from 'pg';
import { BILLING_CONTEXT, BILLING_POOL, type BillingContext } from '../billing-context.js';
import { POCKETS, type PocketAccess } from './pockets.js';
import { readQueueHorizon } from './queue-horizon.js';

const INTERVAL_MS = scaledMs(5_000);
const ESCROWS_MAX = 500;

/**
 * Brings back what is set aside for Redis and not needed there: escrows that are idle, old, replaced or wanted. Their pockets
 * are shut first; what these cannot tell is free two minutes later, once the queue is past that.
 */
@Injectable()
export class ReturningEscrows implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private task: ReturnType<typeof repeatTask> | null = null;

  constructor(
    @Inject(BILLING_POOL) private readonly pool: Pool,
    @Inject(BILLING_CONTEXT) private readonly context: BillingContext,
    @Inject(POCKETS) private readonly access: PocketAccess,
    @Inject(getQueueToken(USAGE_QUEUE)) private readonly queue: Queue,
  ) {}

  onApplicationBootstrap(): void {
    this.task = repeatTask({
      intervalMs: INTERVAL_MS,
      run: () => this.bringBack(),
      onError: (error) => this.context.logger.warn({ err: error }, 'could not bring back escrows'),
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.task?.stop();
  }

  private async bringBack(): Promise<void> {
    // Finishing does not need Redis, so it comes first.
    await this.finish();
    const sql = poolSql(this.pool);
    for (const escrow of await dueEscrows(sql, ESCROWS_MAX)) {
      const rest = await this.shutPocket(escrow);
      faultPoint('w.shut.ok');
      await shutEscrow(sql, escrow.escrowId, rest);
    }
  }

  private async finish(): Promise<void> {
    const queueClearUntil = await readQueueHorizon(this.queue);
    if (queueClearUntil === null) return;
    const options = { queueClearUntil, escrowsMax: ESCROWS_MAX };
    for (const { escrowId, accountId, releasedNano } of await finishEscrows(poolSql(this.pool), options)) {
      if (releasedNano === 0n) continue;
      const released = releasedNano.toString();
      this.context.logger.info(
        { escrowId, accountId, releasedNano: released },
        'an escrow gave back its rest',
      );
    }
  }

  /** Without a Redis there are no pockets: what an earlier configuration set aside comes back without their word. */
  private async shutPocket({ accountId, escrowId }: EscrowOf): Promise<PocketRest> {
    return this.access.pockets === null ? null : this.access.pockets.shut(accountId, escrowId);
  }
}
