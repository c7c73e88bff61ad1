import { USAGE_JOB_EVENTS_MAX, usageEventSchema, type UsageEvent } from '@tollgate/contracts';
import type { CostCheck } from './cost-check.js';
import { quarantineEvent } from './quarantine-event.js';
import type { Settlement } from './settle-batch.js';
import { settleUsage } from './settle-usage.js';
import { int8, readBigint, readText, type Sql } from './sql.js';

/** A hold that nobody renewed in time, in whichever store it is. */
export interface OverdueHold {
  readonly requestId: string;
  readonly accountId: string;
  /** The escrow that it draws on; null for a hold in Postgres. */
  readonly escrowId: string | null;
  /** The whole hold, in nano-credits. */
  readonly totalNano: bigint;
  /** The usage event as it would have been at the last touch; null if nothing had been delivered. */
  readonly checkpoint: unknown;
}

/** What became of an overdue hold. */
export interface SweptHold {
  readonly hold: OverdueHold;
  /** Null: nothing was delivered, so the request is free. */
  readonly settlement: Settlement | null;
  /** With what the hold is to be closed, in nano-credits: what its request cost by the books. */
  readonly costNano: bigint;
}

/** A checkpoint as it settles: swept, from the escrow that holds, and at the cost of at most the hold. */
export function sweptUsage(checkpoint: UsageEvent, { escrowId, totalNano }: OverdueHold): UsageEvent {
  const costNano = BigInt(checkpoint.costNano);
  return {
    ...checkpoint,
    ...(escrowId !== null && { escrowId }),
    swept: true,
    costNano: (costNano < totalNano ? costNano : totalNano).toString(),
  };
}

/**
 * Settles requests whose end nobody told, each at its last checkpoint: what was delivered, at most its hold. Usage that is in
 * the books already stands. A checkpoint that cannot settle is in quarantine then, and stops nothing else. Closing the holds
 * is the caller's; a hold that is swept again meanwhile changes nothing.
 *
 * @throws the driver's error if the server or the connection is at fault: then give all of them again later.
 */
export async function settleSwept(
  sql: Sql,
  costs: CostCheck,
  holds: readonly OverdueHold[],
): Promise<SweptHold[]> {
  const settlements = new Map<OverdueHold, Settlement>();
  const readable: { readonly hold: OverdueHold; readonly event: UsageEvent }[] = [];
  for (const hold of holds) {
    if (hold.checkpoint === null) continue;
    const event = readCheckpoint(hold);
    if (event === null) settlements.set(hold, await setAside(sql, hold));
    else readable.push({ hold, event });
  }
  for (let start = 0; start < readable.length; start += USAGE_JOB_EVENTS_MAX) {
    const some = readable.slice(start, start + USAGE_JOB_EVENTS_MAX);
    const settled = await settleUsage(
      sql,
      costs,
      some.map(({ event }) => event),
    );
    for (const [index, { hold }] of some.entries()) {
      const settlement = settled[index];
      if (settlement !== undefined) settlements.set(hold, settlement);
    }
  }
  const unsettled = holds.filter((hold) => settlements.get(hold)?.outcome !== 'settled');
  const recorded = await costsOf(
    sql,
    unsettled.map(({ requestId }) => requestId),
  );
  return holds.map((hold) => {
    const settlement = settlements.get(hold) ?? null;
    return { hold, settlement, costNano: closingCostNano(hold, settlement, recorded.get(hold.requestId)) };
  });
}

/** A hold whose checkpoint is in quarantine keeps its money until somebody decides. */
function closingCostNano(hold: OverdueHold, settlement: Settlement | null, recordedNano?: bigint): bigint {
  if (settlement?.outcome === 'settled') return settlement.chargedNano;
  return recordedNano ?? (settlement === null ? 0n : hold.totalNano);
}

/** The event that a checkpoint settles as; null for what is no event of this hold. */
function readCheckpoint(hold: OverdueHold): UsageEvent | null {
  const { success, data } = usageEventSchema.safeParse(hold.checkpoint);
  const isOurs = success && data.requestId === hold.requestId && data.accountId === hold.accountId;
  return isOurs ? sweptUsage(data, hold) : null;
}

/** Closes holds in Postgres that were swept, so far as settling has not: those in quarantine keep their money. */
export async function closeSweptHolds(sql: Sql, swept: readonly SweptHold[]): Promise<void> {
  const left = swept.filter(({ settlement }) => settlement !== null && settlement.outcome !== 'settled');
  if (left.length === 0) return;
  const p = left.map(({ hold, costNano }) => ({ r: hold.requestId, cost: int8(costNano) }));
  await sql('SELECT FROM tollgate.close_batch($1)', [JSON.stringify(p)]);
}

/** What requests cost by the books, by their true usage if it is known. */
async function costsOf(sql: Sql, requestIds: readonly string[]): Promise<Map<string, bigint>> {
  if (requestIds.length === 0) return new Map();
  const rows = await sql(
    `SELECT DISTINCT ON (request_id) request_id, cost FROM tollgate.usage_record
      WHERE request_id = ANY ($1) ORDER BY request_id, swept`,
    [requestIds],
  );
  return new Map(rows.map((row) => [readText(row, 'request_id'), readBigint(row, 'cost')]));
}

/** `swept` tells whoever asks what is known of the request that this is not its true usage. */
async function setAside(sql: Sql, { requestId, checkpoint }: OverdueHold): Promise<Settlement> {
  const reason = 'malformed_checkpoint';
  const members = typeof checkpoint === 'object' ? checkpoint : { checkpoint };
  await quarantineEvent(sql, { body: { ...members, requestId, swept: true }, reason });
  return { requestId, outcome: 'quarantined', reason, chargedNano: 0n, absorbedNano: 0n };
}
