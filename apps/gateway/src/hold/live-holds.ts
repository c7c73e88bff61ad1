import {
  HoldStoreUnavailableError,
  type HoldRequest,
  type HoldResult,
  type HoldStore,
} from '@tollgate/ledger';
import { formatAmount } from '@tollgate/pricing';
import type { Logger } from '@tollgate/runtime';
import { GatewayError } from '../relay/gateway-errors.js';
import type { GatewayMetrics } from '../telemetry/gateway-metrics.js';
import type { RequestPlan } from '../relay/request-plan.js';
import { HoldSize } from './hold-size.js';
import { LiveHold } from './live-hold.js';

/** How often the holds of running requests are renewed; they live for 90 s. */
const RENEW_INTERVAL_MS = 20_000;

/** A stream whose hold was not renewed for so long ends: billing may free the hold soon after. */
export const UNRENEWED_MAX_MS = 60_000;

/** The holds of all requests of this process, renewed until their usage event is accepted. */
export class LiveHolds {
  private readonly holds = new Map<string, LiveHold>();
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly store: HoldStore,
    private readonly logger: Logger,
    private readonly counts: Pick<GatewayMetrics, 'holds' | 'extensions'>,
  ) {
    this.timer = setInterval(() => void this.renew(), RENEW_INTERVAL_MS);
    this.timer.unref();
  }

  /**
   * Places the hold of a request.
   * @throws GatewayError `insufficient_quota` if the balance does not cover it, `billing_unavailable` if the store cannot
   *   be reached.
   */
  async place(plan: RequestPlan): Promise<LiveHold> {
    const size = new HoldSize(plan.holdBasis);
    const { requestId, caller } = plan;
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
    if (result.outcome === 'settled') throw new Error('a fresh request id is already settled');
    this.counts.holds.placed.add();
    const hold = new LiveHold(
      requestId,
      caller.accountId,
      result.grantedNano,
      result.availableNano,
      size,
      plan.holdBasis.outputCap,
      { hold: (request) => this.extend(request) },
    );
    this.holds.set(requestId, hold);
    return hold;
  }

  /** How many holds are kept alive. */
  get count(): number {
    return this.holds.size;
  }

  /** Closes holds whose usage events were accepted. What fails here is closed when the event is settled. */
  async close(closed: readonly { requestId: string; costNano: bigint }[]): Promise<void> {
    for (const { requestId } of closed) this.holds.delete(requestId);
    await Promise.all(
      closed.map(({ requestId, costNano }) =>
        this.store.close(requestId, costNano).catch((error: unknown) => {
          this.logger.warn({ err: error, requestId }, 'could not close a hold; settling will');
        }),
      ),
    );
  }

  /** Whether the hold was confirmed recently enough to go on serving. */
  isRenewed(hold: LiveHold): boolean {
    return performance.now() - hold.renewedAtMs < UNRENEWED_MAX_MS;
  }

  stop(): void {
    clearInterval(this.timer);
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

  private async renew(): Promise<void> {
    const holds = [...this.holds.values()];
    if (holds.length === 0) return;
    try {
      const alive = await this.store.touch(holds.map(({ requestId }) => requestId));
      for (const hold of holds) if (alive.has(hold.requestId)) hold.renewedAtMs = performance.now();
    } catch (error) {
      this.logger.warn({ err: error, holds: holds.length }, 'could not renew holds');
    }
  }
}
