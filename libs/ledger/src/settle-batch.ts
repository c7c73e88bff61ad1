import assert from 'node:assert/strict';
import type { UsageEvent } from '@tollgate/contracts';
import { quarantineEvent } from './quarantine-event.js';
import { readBigint, readText, readTextOrNull, type Row, type Sql } from './sql.js';
import { isServerTrouble, sqlstateOf } from './sqlstate.js';
import { hashUsageEvent } from './usage-event-hash.js';

/** What became of one usage event. Amounts in nano-credits: what this call moved, so nothing unless it is settled. */
export interface Settlement {
  readonly requestId: string;
  /** `known`: the same event was settled before, or it is swept and anything was. `quarantined`: it can never settle, a person has to look at it. */
  readonly outcome: 'settled' | 'known' | 'quarantined';
  /** Why it is quarantined: a code of ours, or `sqlstate_` and Postgres' own. */
  readonly reason: string | null;
  readonly chargedNano: bigint;
  /** What neither the hold nor the balance could pay. Each is an alarm: holds are too small, or came too late. */
  readonly absorbedNano: bigint;
  /** What had been swept for the request before, and was given back before this was charged. Absent if nothing was. */
  readonly reversedNano?: bigint;
}

interface PreparedEvent {
  readonly event: UsageEvent;
  readonly bodyHash: Buffer;
  /** Where it stood in what the caller gave. */
  readonly index: number;
}

/**
 * Settles usage events and answers for each, in the order given. Whatever was settled before is left as it is, so a batch
 * may come again, in other company, after any failure. True usage that comes after swept usage of the same request reverses
 * it and settles in full. `sql` must not be inside a transaction: a batch that the database
 * cannot stomach is tried again in halves.
 *
 * @throws the driver's error if the server or the connection is at fault: then give the whole batch again later. An
 *   event that fails even alone is quarantined, so a batch never fails for what is in it.
 */
export async function settleBatch(sql: Sql, events: readonly UsageEvent[]): Promise<Settlement[]> {
  const prepared = events.map((event, index) => ({ event, bodyHash: hashUsageEvent(event), index }));
  // Halves are then settled in the order of ids too, as the whole would have been.
  prepared.sort(byRequestId);
  const settlements: Settlement[] = [];
  for (const { index, settlement } of await settle(sql, prepared)) settlements[index] = settlement;
  return settlements;
}

function byRequestId(a: PreparedEvent, b: PreparedEvent): number {
  if (a.event.requestId === b.event.requestId) return a.index - b.index;
  return a.event.requestId < b.event.requestId ? -1 : 1;
}

async function settle(
  sql: Sql,
  events: readonly PreparedEvent[],
): Promise<{ index: number; settlement: Settlement }[]> {
  if (events.length === 0) return [];
  try {
    const p = events.map(({ event, bodyHash }) => ({ ...event, bodyHash: bodyHash.toString('hex') }));
    const rows = await sql('SELECT * FROM tollgate.settle_batch($1)', [JSON.stringify(p)]);
    assert.equal(rows.length, events.length, 'settle_batch answers for each event');
    return events.map(({ event, index }, n) => ({ index, settlement: toSettlement(event, rows[n]) }));
  } catch (error) {
    const sqlstate = sqlstateOf(error);
    if (sqlstate === null || isServerTrouble(sqlstate)) throw error;
    const [only] = events;
    if (only !== undefined && events.length === 1) return [await setAside(sql, only, `sqlstate_${sqlstate}`)];
    const middle = Math.ceil(events.length / 2);
    return [...(await settle(sql, events.slice(0, middle))), ...(await settle(sql, events.slice(middle)))];
  }
}

async function setAside(
  sql: Sql,
  { event, bodyHash, index }: PreparedEvent,
  reason: string,
): Promise<{ index: number; settlement: Settlement }> {
  await quarantineEvent(sql, { body: event, reason, bodyHash });
  const { requestId } = event;
  return {
    index,
    settlement: { requestId, outcome: 'quarantined', reason, chargedNano: 0n, absorbedNano: 0n },
  };
}

function toSettlement(event: UsageEvent, row: Row | undefined): Settlement {
  assert(row !== undefined);
  const outcome = readText(row, 'outcome');
  assert(outcome === 'settled' || outcome === 'known' || outcome === 'quarantined', `outcome ${outcome}`);
  const reversedNano = readBigint(row, 'reversed');
  return {
    requestId: event.requestId,
    outcome,
    reason: readTextOrNull(row, 'reason'),
    chargedNano: readBigint(row, 'charged'),
    absorbedNano: readBigint(row, 'absorbed'),
    ...(reversedNano > 0n && { reversedNano }),
  };
}
