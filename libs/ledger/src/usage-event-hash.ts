import { hash } from 'node:crypto';
import type { UsageEvent } from '@tollgate/contracts';

/**
 * SHA-256 over a usage event: two events of one request are the same if their hashes are. The fields are listed, so that
 * one added to the contract later does not make a replayed old event look like another. Which escrow paid is no fact about
 * the request. Never change what is here: hashes in the database are compared with it for ever.
 */
export function hashUsageEvent(event: UsageEvent): Buffer {
  const units = Object.entries(event.units).filter(([, count]) => count !== undefined);
  const facts = [
    'tollgate usage event 1',
    event.requestId,
    event.accountId,
    event.apiKeyId,
    event.model,
    event.upstreamModel,
    event.deploymentId,
    event.priceId,
    event.multiplierPpm,
    units.sort(([a], [b]) => (a < b ? -1 : 1)),
    event.billable,
    event.costNano,
    event.usageSource,
    event.outcome,
    event.attempts,
    event.firstByteMs,
    event.totalMs,
    event.finishedAt,
    ...(event.swept === true ? ['swept'] : []),
  ];
  return hash('sha256', JSON.stringify(facts), 'buffer');
}
