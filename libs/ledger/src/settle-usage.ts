import type { UsageEvent } from '@tollgate/contracts';
import type { CostCheck } from './cost-check.js';
import { quarantineEvent } from './quarantine-event.js';
import { settleBatch, type Settlement } from './settle-batch.js';
import type { Sql } from './sql.js';
import { hashUsageEvent } from './usage-event-hash.js';

/**
 * Settles usage events as they come out of the queue, or once more out of quarantine: each cost is checked, then all that
 * are sound are settled like `settleBatch` does. Answers for each, in the order given. What can never settle is in
 * quarantine then and stops nothing else.
 *
 * @throws the driver's error if the server or the connection is at fault: then give all of them again later.
 */
export async function settleUsage(
  sql: Sql,
  costs: CostCheck,
  events: readonly UsageEvent[],
): Promise<Settlement[]> {
  const settlements: Settlement[] = [];
  const sound: { readonly index: number; readonly event: UsageEvent }[] = [];
  for (const [index, event] of events.entries()) {
    const reason = await costs.problemOf(sql, event);
    if (reason === null) sound.push({ index, event });
    else settlements[index] = await setAside(sql, event, reason);
  }
  const settled = await settleBatch(
    sql,
    sound.map(({ event }) => event),
  );
  for (const [place, settlement] of settled.entries()) {
    const index = sound[place]?.index;
    if (index !== undefined) settlements[index] = settlement;
  }
  return settlements;
}

async function setAside(sql: Sql, event: UsageEvent, reason: string): Promise<Settlement> {
  await quarantineEvent(sql, { body: event, reason, bodyHash: hashUsageEvent(event) });
  const { requestId } = event;
  return { requestId, outcome: 'quarantined', reason, chargedNano: 0n, absorbedNano: 0n };
}
