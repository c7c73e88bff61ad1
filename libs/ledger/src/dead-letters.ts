import assert from 'node:assert/strict';
import { usageEventSchema, type UsageEvent } from '@tollgate/contracts';
import type { CostCheck } from './cost-check.js';
import type { Settlement } from './settle-batch.js';
import { settleUsage } from './settle-usage.js';
import { readBigint, readText, type Row, type Sql } from './sql.js';

/** What became of a dead letter. `isNews`: this call made it so; else it is how an earlier one left it. Nano-credits. */
export type ReplayResult =
  | {
      readonly outcome: 'settled' | 'known';
      readonly chargedNano: bigint;
      readonly absorbedNano: bigint;
      readonly isNews: boolean;
    }
  /** It failed again and is still open. */
  | { readonly outcome: 'quarantined'; readonly reason: string; readonly isNews: boolean }
  /** An operator gave it up before. */
  | { readonly outcome: 'discarded' }
  | { readonly outcome: 'unknown' };

/** What an operator says instead of an event that cannot be right. */
export type UsageCorrection = Partial<
  Pick<UsageEvent, 'accountId' | 'priceId' | 'multiplierPpm' | 'units' | 'billable' | 'totalMs'>
>;

export type DiscardResult =
  /** What the request's hold had still set aside, in nano-credits. */
  | { readonly outcome: 'discarded'; readonly freedNano: bigint }
  /** `resolved`: it was replayed or discarded before. `request_runs`: its hold is still open. Nothing was changed. */
  | { readonly outcome: 'resolved' | 'request_runs' | 'unknown' };

/**
 * Settles a quarantined usage event once more, as billing does. A dead letter that is resolved stays as it is, so any
 * number of replays charges at most once.
 *
 * `sql` must be inside a transaction, all of it on one connection: the dead letter and the account stay locked until its
 * end, and whatever fails takes everything with it.
 */
export function replayDeadLetter(sql: Sql, costs: CostCheck, id: string): Promise<ReplayResult> {
  return settleLetter(sql, costs, { id, correction: null });
}

/** Does the same with an event in which the correction stands; its cost is reckoned from the price again. */
export function correctDeadLetter(
  sql: Sql,
  costs: CostCheck,
  corrected: { readonly id: string; readonly correction: UsageCorrection },
): Promise<ReplayResult> {
  return settleLetter(sql, costs, corrected);
}

async function settleLetter(
  sql: Sql,
  costs: CostCheck,
  { id, correction }: { readonly id: string; readonly correction: UsageCorrection | null },
): Promise<ReplayResult> {
  const [lock] = await sql('SELECT tollgate.open_dead_letter($1) AS open', [id]);
  assert(lock !== undefined);
  if (lock['open'] === null) return { outcome: 'unknown' };
  if (lock['open'] === false) return readResolution(sql, id);
  const [letter] = await sql(DEAD_LETTER, [id]);
  assert(letter !== undefined, 'a locked dead letter exists');
  const current = readText(letter, 'reason');
  const event = await readEvent(sql, costs, { body: letter['body'], correction });
  const settlement = event === null ? null : await settleAgain(sql, costs, event);
  if (settlement === null) return { outcome: 'quarantined', reason: current, isNews: false };
  const { outcome, reason, chargedNano, absorbedNano } = settlement;
  const isNews = outcome !== 'quarantined' || reason !== current;
  if (isNews) {
    await sql(
      `INSERT INTO tollgate.dead_letter_decision (dead_letter_id, outcome, reason, charged, absorbed)
       VALUES ($1, $2, $3, $4, $5)`,
      [id, outcome, reason, chargedNano.toString(), absorbedNano.toString()],
    );
  }
  if (outcome !== 'quarantined') return { outcome, chargedNano, absorbedNano, isNews };
  assert(reason !== null, 'what is in quarantine has a reason');
  return { outcome, reason, isNews };
}

/** Gives a quarantined event up: it moves no credits, but what its hold keeps set aside is free again. */
export async function discardDeadLetter(sql: Sql, id: string, note: string): Promise<DiscardResult> {
  const [row] = await sql('SELECT outcome, freed FROM tollgate.discard_dead_letter($1, $2)', [id, note]);
  assert(row !== undefined, 'discard_dead_letter answers one row');
  const outcome = readText(row, 'outcome');
  switch (outcome) {
    case 'discarded':
      return { outcome, freedNano: readBigint(row, 'freed') };
    case 'resolved':
    case 'request_runs':
    case 'unknown':
      return { outcome };
    default:
      throw new Error(`discard_dead_letter answered ${outcome}`);
  }
}

/** The reason is the one of the last replay that failed, else the first one. */
const DEAD_LETTER = `
  SELECT q.body, COALESCE((SELECT d.reason FROM tollgate.dead_letter_decision d
    WHERE d.dead_letter_id = q.id AND d.reason IS NOT NULL ORDER BY d.id DESC LIMIT 1), q.reason) AS reason
    FROM tollgate.quarantine q WHERE q.id = $1`;

async function readResolution(sql: Sql, id: string): Promise<ReplayResult> {
  const [row] = await sql(
    `SELECT outcome, charged, absorbed FROM tollgate.dead_letter_decision
      WHERE dead_letter_id = $1 AND outcome <> 'quarantined'`,
    [id],
  );
  assert(row !== undefined, 'a dead letter that is not open is resolved');
  const outcome = readText(row, 'outcome');
  if (outcome === 'discarded') return { outcome };
  assert(outcome === 'settled' || outcome === 'known', `outcome ${outcome}`);
  const chargedNano = readBigint(row, 'charged');
  return { outcome, chargedNano, absorbedNano: readBigint(row, 'absorbed'), isNews: false };
}

/** Null for what is no usage event. */
async function readEvent(
  sql: Sql,
  costs: CostCheck,
  { body, correction }: { readonly body: unknown; readonly correction: UsageCorrection | null },
): Promise<UsageEvent | null> {
  if (correction === null || typeof body !== 'object') return usageEventSchema.safeParse(body).data ?? null;
  const event = usageEventSchema.safeParse({ ...body, ...correction, costNano: '0' }).data;
  if (event === undefined) return null;
  // Without a price it is told so when it is settled.
  const costNano = (await costs.costOf(sql, event)) ?? 0n;
  return { ...event, costNano: costNano.toString() };
}

/** An event that fails again leaves no second dead letter behind. */
async function settleAgain(sql: Sql, costs: CostCheck, event: UsageEvent): Promise<Settlement> {
  await sql('SAVEPOINT replay');
  const [settlement] = await settleUsage(withSavepoints(sql), costs, [event]);
  assert(settlement !== undefined, 'one event has one settlement');
  if (settlement.outcome === 'quarantined') await sql('ROLLBACK TO SAVEPOINT replay');
  return settlement;
}

/** A statement that fails would end the transaction; settling goes on after some. */
function withSavepoints(sql: Sql): Sql {
  return async (text, params): Promise<Row[]> => {
    await sql('SAVEPOINT statement');
    try {
      const rows = await sql(text, params);
      await sql('RELEASE SAVEPOINT statement');
      return rows;
    } catch (error) {
      // Where the connection is gone, the first error says so.
      await sql('ROLLBACK TO SAVEPOINT statement').catch(() => undefined);
      throw error;
    }
  };
}
