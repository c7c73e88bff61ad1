import type { Redis } from 'ioredis';
import { z } from 'zod';
import type { EscrowOf } from './escrow-return.js';
import { pocketKeys } from './redis/pocket-keys.js';
import { readText, type Row, type Sql } from './sql.js';

/** A pocket as Redis has it. */
export interface SurveyedPocket extends EscrowOf {
  /** Whether Postgres ever told it what it has. One that was just made is still to be granted. */
  readonly isFilled: boolean;
}

const POCKET_PATTERN = 'tg:{s*}:*:pocket';
const POCKET_KEY = /^tg:\{s\d+\}:([0-9a-f-]{36}):pocket$/;
const scanSchema = z.tuple([z.string(), z.array(z.string())]);
const textOrNull = z.string().nullable();

/**
 * One slice of all pockets: about `keysMax` keys of one Redis are looked at. `cursor` is '0' at the beginning, and again when it is
 * through; a pocket that is there all the time is in some slice, perhaps in two. Rejects where Redis does not answer.
 */
export async function surveyPockets(
  redis: Redis,
  cursor: string,
  keysMax: number,
): Promise<{ readonly cursor: string; readonly pockets: readonly SurveyedPocket[] }> {
  const [next, keys] = scanSchema.parse(await redis.scan(cursor, 'MATCH', POCKET_PATTERN, 'COUNT', keysMax));
  const found = await Promise.all(
    keys.map(async (key): Promise<SurveyedPocket[]> => {
      const accountId = POCKET_KEY.exec(key)?.[1];
      const [escrowId, granted] = await redis.hmget(key, 'escrow', 'granted');
      if (accountId === undefined || typeof escrowId !== 'string') return [];
      return [{ accountId, escrowId, isFilled: granted !== null }];
    }),
  );
  return { cursor: next, pockets: found.flat() };
}

/** Which of these escrows have no pocket that draws on them. Rejects where Redis does not answer. */
export async function withoutPocket(redis: Redis, escrows: readonly EscrowOf[]): Promise<EscrowOf[]> {
  const drawnOn = await Promise.all(
    escrows.map(async ({ accountId }) =>
      textOrNull.parse(await redis.hget(pocketKeys(accountId).pocket, 'escrow')),
    ),
  );
  return escrows.filter(({ escrowId }, index) => drawnOn[index] !== escrowId);
}

/**
 * Open escrows of accounts above `afterAccountId`, by account, at most `escrowsMax`. One that was just asked for is left out: its
 * grant may be on its way to Redis.
 */
export async function openEscrows(sql: Sql, afterAccountId: string, escrowsMax: number): Promise<EscrowOf[]> {
  const rows = await sql(
    `SELECT id AS escrow_id, account_id FROM tollgate.reservation
      WHERE kind = 'escrow' AND state = 'open' AND account_id > $1 AND changed_at < now() - interval '10 seconds'
      ORDER BY account_id LIMIT $2`,
    [afterAccountId, escrowsMax],
  );
  return rows.map(toEscrow);
}

/**
 * Which of these pockets draw on nothing: their escrow is shut or closed, or filled though Postgres does not know it. Those that
 * close and are not shut yet are left to whoever shuts them.
 */
export async function pocketsWithoutEscrow(
  sql: Sql,
  pockets: readonly SurveyedPocket[],
): Promise<SurveyedPocket[]> {
  const rows = await sql(
    `SELECT id AS escrow_id, account_id, shut_at IS NULL AND state <> 'closed' AS may_spend FROM tollgate.reservation
      WHERE kind = 'escrow' AND id = ANY ($1)`,
    [pockets.map(({ escrowId }) => escrowId)],
  );
  const known = new Map(rows.map((row) => [readText(row, 'escrow_id'), row['may_spend'] === true]));
  return pockets.filter(({ escrowId, isFilled }) => !(known.get(escrowId) ?? !isFilled));
}

/** Escrows that hold money of accounts, by state. */
export interface EscrowTotal {
  readonly state: string;
  readonly count: number;
  /** What they hold together, in nano-credits. */
  readonly amountNano: bigint;
}

export async function sumEscrows(sql: Sql): Promise<EscrowTotal[]> {
  const rows = await sql(
    `SELECT s.state, count(e.id)::int AS count, COALESCE(sum(e.granted - e.used - e.released), 0)::text AS amount
       FROM (VALUES ('open'), ('closing')) AS s (state)
       LEFT JOIN LATERAL (SELECT * FROM tollgate.reservation r WHERE r.kind = 'escrow' AND r.state = s.state) AS e ON true
      GROUP BY s.state`,
  );
  return rows.map((row) => ({
    state: readText(row, 'state'),
    count: Number(row['count']),
    amountNano: BigInt(readText(row, 'amount')),
  }));
}

function toEscrow(row: Row): EscrowOf {
  return { escrowId: readText(row, 'escrow_id'), accountId: readText(row, 'account_id') };
}
