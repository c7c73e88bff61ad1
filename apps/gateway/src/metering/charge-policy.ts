import type { Outcome, UsageSource } from '@tollgate/contracts';
import type { EmptyCompletions } from '@tollgate/persistence';
import type { Units } from '@tollgate/pricing';

/** What is known of a request when it is over. */
export interface RequestFacts {
  readonly outcome: Outcome;
  /** The provider's own count, if it came and can be true. */
  readonly reported: Units | null;
  /** The request was written to an upstream. */
  readonly wasSent: boolean;
  /** Something of the answer went on to the client. */
  readonly wasDelivered: boolean;
  /** The operator's setting. */
  readonly emptyCompletions: EmptyCompletions;
  readonly estimatedInputTokens: number;
  readonly estimatedOutputTokens: number;
}

/** What a request is charged for. */
export interface Charge {
  readonly units: Units;
  readonly usageSource: UsageSource;
  /** False where policy makes the request free. */
  readonly billable: boolean;
}

const FREE: Charge = { units: {}, usageSource: 'none', billable: false };

/** The billing policy (docs/billing-policy.md): who pays for what when a request ends in one way or another. */
export function decideCharge(facts: RequestFacts): Charge {
  switch (facts.outcome) {
    case 'completed':
      return chargeCompleted(facts);
    case 'client_closed':
      return facts.wasSent ? chargeForwarded(facts) : FREE;
    case 'cut_off':
      return chargeForwarded(facts);
    case 'upstream_failed':
    case 'timeout':
      return facts.wasDelivered ? chargeForwarded(facts) : FREE;
  }
}

/**
 * An answer that says nothing is free, unless the provider counted output that is not shown, or the operator charges for
 * such answers. Explicit zero is zero: not even a minimum charge applies to it.
 */
function chargeCompleted(facts: RequestFacts): Charge {
  const { reported } = facts;
  const isCharged = facts.wasDelivered || facts.emptyCompletions === 'charged';
  if (reported === null) {
    return { units: estimatedUnits(facts), usageSource: 'estimated', billable: isCharged };
  }
  const outputTokens = (reported.output ?? 0) + (reported.audioOutput ?? 0);
  const isZero = Object.values(reported).every((count) => count === 0);
  const billable = !isZero && (isCharged || outputTokens > 0);
  return { units: reported, usageSource: 'provider', billable };
}

function chargeForwarded(facts: RequestFacts): Charge {
  if (facts.reported !== null) return { units: facts.reported, usageSource: 'provider', billable: true };
  return { units: estimatedUnits(facts), usageSource: 'partial', billable: true };
}

function estimatedUnits(facts: RequestFacts): Units {
  return { input: facts.estimatedInputTokens, output: facts.estimatedOutputTokens };
}
