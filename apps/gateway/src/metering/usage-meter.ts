import type { Outcome, UsageEvent } from '@tollgate/contracts';
import { readUsage, usageObject, type ReportedUsage } from '@tollgate/providers';
import { computeCost } from '@tollgate/pricing';
import type { JsonObject } from '@tollgate/openai';
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
    const bounds = {
      outputTokensCap: outputTokensCapSent,
      contextTokens: this.plan.offer.model.contextTokens,
    };
    const read = readUsage(usage, bounds);
    if (read === null) return;
    if ('impossible' in read) {
      const { requestId } = this.plan;
      this.logger.error(
        { requestId, deploymentId: this.deployment?.id, usage, reason: read.impossible },
        'impossible usage',
      );
      this.reported = null;
      return;
    }
    this.reported = read;
  }

  /** The usage object for the client: what is going to be charged. */
  clientUsage(): JsonObject {
    return usageObject({ units: this.charge().units, reasoningTokens: this.reported?.reasoningTokens ?? 0 });
  }

  /** The usage event of the finished request. */
  finish(): UsageEvent {
    const { plan, deployment } = this;
    const charge = this.charge();
    const { price } = plan.offer;
    const { multiplierPpm } = plan.caller;
    const costNano = charge.billable ? computeCost({ price, units: charge.units, multiplierPpm }) : 0n;
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
      costNano: costNano.toString(),
      usageSource: charge.usageSource,
      outcome: this.outcome,
      attempts: this.attempts,
      firstByteMs: this.firstByteMs,
      totalMs: this.elapsedMs(),
      finishedAt: new Date().toISOString(),
    };
  }

  private charge(): Charge {
    return decideCharge({
      outcome: this.outcome,
      reported: this.reported?.units ?? null,
      wasSent: this.wasSent,
      forwardedBytes: this.forwardedBytes,
      estimatedInputTokens: estimateInputTokens(this.plan.inputSize),
      estimatedOutputTokens: estimateOutputTokens(this.forwardedBytes),
    });
  }

  private elapsedMs(): number {
    return Math.round(performance.now() - this.plan.startedAtMs);
  }
}
