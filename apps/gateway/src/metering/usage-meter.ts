import type { Outcome, UsageEvent } from '@tollgate/contracts';
import { readUsage, type ReportedUsage } from '@tollgate/providers';
import { computeCost, type Units } from '@tollgate/pricing';
import type { Logger } from '@tollgate/runtime';
import type { RequestPlan } from '../relay/request-plan.js';
import type { Deployment } from '../routing/catalog.js';
import { decideCharge, type Charge } from './charge-policy.js';
import { estimateInputTokens, estimateOutputTokens } from './usage-estimate.js';

/** Follows one request and says in the end what it used and what that costs. */
export class UsageMeter {
  attempts = 0;
  /** The request was written to an upstream. */
  wasSent = false;
  /** UTF-8 bytes of output that went on to the client. */
  forwardedBytes = 0;
  /** Something of the answer went on to the client. */
  wasDelivered = false;
  /** How the request ended; a request that nobody says otherwise of has failed. */
  outcome: Outcome = 'upstream_failed';
  private deployment: Deployment | null = null;
  private firstByteMs: number | null = null;
  private reported: ReportedUsage | null = null;

  constructor(
    private readonly plan: RequestPlan,
    private readonly logger: Logger,
  ) {}

  /** An attempt on a deployment begins. */
  attempt(deployment: Deployment): void {
    this.attempts += 1;
    this.deployment = deployment;
    this.reported = null;
  }

  /** The first byte of the answer is there. */
  firstByte(): void {
    this.firstByteMs ??= this.elapsedMs();
  }

  /** Takes the usage object of an upstream; one that cannot be true is logged and not believed. */
  report(usage: unknown, outputTokensCapSent: number | null): void {
    const read = this.read(usage, outputTokensCapSent);
    if (read === null) return;
    if ('impossible' in read) {
      const { requestId } = this.plan;
      this.logger.error(
        { requestId, deploymentId: this.deployment?.id, usage: withoutTexts(usage), reason: read.impossible },
        'impossible usage',
      );
      this.reported = null;
      return;
    }
    this.reported = read;
  }

  /** What is going to be charged, for the usage object that the client gets. */
  usage(): { readonly units: Units; readonly reasoningTokens: number } {
    return { units: this.charge().units, reasoningTokens: this.reported?.reasoningTokens ?? 0 };
  }

  /** Nano-credits that the request costs as it stands. */
  costNano(): bigint {
    return this.costOf(this.charge());
  }

  /** The usage event of the finished request. */
  finish(): UsageEvent {
    return this.eventOf(this.outcome, this.charge());
  }

  /**
   * The usage event as it would be if the stream were cut off now: what went on to the client, and the input. `usage` is the
   * upstream's count so far; nobody is told if it cannot be true, because it is not its last word.
   */
  checkpoint(usage: unknown, outputTokensCapSent: number | null): UsageEvent {
    const read = this.read(usage, outputTokensCapSent);
    const reported = read === null || 'impossible' in read ? null : read.units;
    return this.eventOf('cut_off', this.charge('cut_off', reported));
  }

  private eventOf(outcome: Outcome, charge: Charge): UsageEvent {
    const { plan, deployment } = this;
    const { price } = plan.offer;
    const { multiplierPpm } = plan.caller;
    return {
      requestId: plan.requestId,
      accountId: plan.caller.accountId,
      apiKeyId: plan.caller.apiKeyId,
      model: plan.offer.model.name,
      upstreamModel: deployment?.upstreamModel ?? '',
      deploymentId: deployment?.id ?? null,
      priceId: price.id,
      multiplierPpm,
      units: charge.units,
      billable: charge.billable,
      costNano: this.costOf(charge).toString(),
      usageSource: charge.usageSource,
      outcome,
      attempts: this.attempts,
      firstByteMs: this.firstByteMs,
      totalMs: this.elapsedMs(),
      finishedAt: new Date().toISOString(),
    };
  }

  private costOf(charge: Charge): bigint {
    const { offer, caller } = this.plan;
    if (!charge.billable) return 0n;
    return computeCost({ price: offer.price, units: charge.units, multiplierPpm: caller.multiplierPpm });
  }

  private read(usage: unknown, outputTokensCapSent: number | null): ReturnType<typeof readUsage> {
    return readUsage(usage, {
      outputTokensCap: outputTokensCapSent,
      contextTokens: this.plan.offer.model.contextTokens,
    });
  }

  private charge(outcome = this.outcome, reported: Units | null = this.reported?.units ?? null): Charge {
    return decideCharge({
      outcome,
      reported,
      wasSent: this.wasSent,
      wasDelivered: this.wasDelivered,
      emptyCompletions: this.plan.settings.emptyCompletions,
      estimatedInputTokens: estimateInputTokens(this.plan.request.inputSize),
      estimatedOutputTokens: estimateOutputTokens(this.forwardedBytes),
    });
  }

  private elapsedMs(): number {
    return Math.round(performance.now() - this.plan.startedAtMs);
  }
}

/** Numbers are kept for review; a text in a provider's usage could be anything. */
function withoutTexts(usage: unknown): unknown {
  return JSON.parse(
    JSON.stringify(usage, (_, value: unknown) => (typeof value === 'string' ? '***' : value)),
  );
}
