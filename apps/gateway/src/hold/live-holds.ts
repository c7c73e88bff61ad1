import type { UsageEvent } from '@tollgate/contracts';
import {
  HoldStoreUnavailableError,
  type HoldRequest,
  type HoldResult,
  type HoldStore,
} from '@tollgate/ledger';
import { formatAmount } from '@tollgate/pricing';
import { scaledMs, type Logger } from '@tollgate/runtime';
import { GatewayError } from '../relay/gateway-errors.js';
import type { GatewayMetrics } from '../telemetry/gateway-metrics.js';
import type { RequestPlan } from '../relay/request-plan.js';
import { HoldSize } from './hold-size.js';
import { LiveHold } from './live-hold.js';

/** How often the holds of running requests are renewed; they live for 90 s. */
const RENEW_INTERVAL_MS = scaledMs(20_000);

/** How often it is looked whether holds were not renewed for too long: streams that get no piece do not look themselves. */
const LOSS_CHECK_INTERVAL_MS = scaledMs(2_000);

/** The holds of all requests of this process, renewed until their usage event is accepted. */
export class LiveHolds {
  private readonly holds = new Map<string, LiveHold>();
  private readonly timers: readonly NodeJS.Timeout[];
  /** Told of each checkpoint that a hold is renewed with, before the store is. */
  onCheckpoint: (checkpoint: UsageEvent) => void = () => undefined;

  constructor(
    private readonly store: HoldStore,
    private readonly logger: Logger,
    private readonly counts: Pick<GatewayMetrics, 'holds' | 'extensions' | 'holdStore'>,
  ) {
    this.timers = [
      setInterval(() => void this.renew(), RENEW_INTERVAL_MS),
      setInterval(() => this.noticeLosses(), LOSS_CHECK_INTERVAL_MS),
    ];
    for (const timer of this.timers) timer.unref();
  }

  /**
   * Places the hold of a request.
   * @throws GatewayError `insufficient_quota` if the balance does not cover it, `billing_unavailable` if the store cannot
   *   be reached.
   */
  async place(plan: RequestPlan): Promise<LiveHold> {
    const size = new HoldSize(plan.holdBasis);
    const { requestId, caller } = plan;
    const { logger, counts } = this;
    const { totalNano, leastNano } = size;
    const result = await this.store
      .hold({ requestId, accountId: caller.accountId, totalNano, leastNano })
      .catch((error: unknown) => {
        this.counts.holds.unavailable.add();
        if (error instanceof HoldStoreUnavailableError) {
          throw new GatewayError('billing_unavailable', {}, { cause: error });
        }
        throw error;
      });
    if (result.outcome === 'refused') {
      this.counts.holds.refused.add();
      const available = result.availableNano > 0n ? result.availableNano : 0n;
      throw new GatewayError(
        'insufficient_quota',
        { available: formatAmount(available), needed: formatAmount(leastNano) },
        { status: plan.settings.noCreditStatus },
      );
    }
    if (result.outcome === 'set_aside') {
      this.counts.holds.setAside.add();
      const headers = { 'retry-after': String(result.retryAfterSeconds) };
      throw new GatewayError('billing_unavailable', {}, { headers });
    }
    if (result.outcome === 'settled') throw new Error('a fresh request id is already settled');
    this.counts.holds.placed.add();
    const hold = new LiveHold(requestId, caller.accountId, result, size, plan.holdBasis.outputCap, {
      store: { hold: (request) => this.extend(request) },
      renew: (begun) => void this.renew([begun]),
      lost: () => {
        counts.holdStore.lost.add();
        logger.error({ requestId }, 'a hold was not renewed in time');
      },
    });
    this.holds.set(requestId, hold);
    return hold;
  }

  /** How many holds are kept alive. */
  get count(): number {
    return this.holds.size;
  }

  /** Closes holds whose usage events were accepted. What fails here is closed when the event is settled. */
  async close(closed: readonly { requestId: string; accountId: string; costNano: bigint }[]): Promise<void> {
    for (const { requestId } of closed) this.holds.delete(requestId);
    await Promise.all(
      closed.map(({ requestId, accountId, costNano }) =>
        this.store.close(requestId, accountId, costNano).catch((error: unknown) => {
          this.logger.warn({ err: error, requestId }, 'could not close a hold; settling will');
        }),
      ),
    );
  }

  stop(): void {
    for (const timer of this.timers) clearInterval(timer);
  }

  private noticeLosses(): void {
    for (const hold of this.holds.values()) hold.noticeLoss();
  }

  private async extend(request: HoldRequest): Promise<HoldResult> {
    const { granted, refused, unavailable } = this.counts.extensions;
    try {
      const result = await this.store.hold(request);
      (result.outcome === 'held' ? granted : refused).add();
      return result;
    } catch (error) {
      unavailable.add();
      throw error;
    }
  }

  /**
   * Renews holds with their checkpoints: all of them, unless told. What the store has lost meanwhile is held again and renewed once
   * more, so that the checkpoint comes along; what cannot be held again ends after a while.
   */
  async renew(holds: readonly LiveHold[] = [...this.holds.values()]): Promise<void> {
    if (holds.length === 0) return;
    try {
      const lost = await this.touch(holds);
      const again = await Promise.all(
        lost.map(async (hold) => ((await hold.holdAgain().catch(() => false)) ? [hold] : [])),
      );
      if (again.flat().length > 0) await this.touch(again.flat());
    } catch (error) {
      this.logger.warn({ err: error, holds: holds.length }, 'could not renew holds');
    }
  }

  /** Answers those that are not set aside any more. */
  private async touch(holds: readonly LiveHold[]): Promise<LiveHold[]> {
    const touched = holds.map((hold) => ({
      requestId: hold.requestId,
      accountId: hold.accountId,
      checkpoint: hold.checkpoint,
    }));
    for (const [index, { checkpoint }] of touched.entries()) {
      // Of those that are over, the journal gets the event itself.
      if (checkpoint !== null && holds[index]?.hasEnded === false) this.onCheckpoint(checkpoint);
    }
    const outcomes = await this.store.touch(touched);
    const isOpen = ({ requestId }: LiveHold): boolean => outcomes.get(requestId) === 'open';
    for (const hold of holds.filter(isOpen)) hold.renewed();
    // Those that were closed meanwhile are nobody's any more.
    return holds.filter((hold) => !isOpen(hold) && this.holds.get(hold.requestId) === hold);
  }
}
