import type { Outcome, UsageSource } from '@tollgate/contracts';
import type { Units } from '@tollgate/pricing';
import type { Connection } from './read-snapshot.js';
import { lowestRequestId } from './request-id-time.js';

/** Whose usage. */
export interface UsageOwner {
  readonly accountId: string;
  readonly apiKeyId: string;
}

/** One settled request as its caller may see it: nothing of where it was served. */
export interface UsageRow {
  readonly requestId: string;
  readonly model: string;
  readonly units: Units;
  readonly costNano: bigint;
  /** What of the cost the account paid: all of it, unless its credits were at an end. */
  readonly chargedNano: bigint;
  readonly usageSource: UsageSource;
  readonly outcome: Outcome;
  readonly attempts: number;
  readonly firstByteMs: number | null;
  readonly totalMs: number;
}

/** Which usage: of requests that came in from `from` on and before `to`, newest first. */
export interface UsageListing extends UsageOwner {
  readonly model?: string | undefined;
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
  /** Only requests with lower ids than this one. */
  readonly before?: string | undefined;
  readonly limit: number;
}

/** A request that was swept and whose true usage turned up has two records: the true one is the usage. */
export const TRUE_RECORD = `(NOT u.swept OR NOT EXISTS (SELECT FROM tollgate.usage_record AS settled
  WHERE settled.request_id = u.request_id AND NOT settled.swept))`;

const SELECT_USAGE = `SELECT u.request_id AS "requestId", u.model, u.units, u.cost, COALESCE(t.amount, 0) AS absorbed,
    u.usage_source AS "usageSource", u.outcome, u.attempts, u.first_byte_ms AS "firstByteMs", u.total_ms AS "totalMs"
  FROM tollgate.usage_record u
  LEFT JOIN tollgate.transfer t ON t.kind = 'absorbed' AND t.ref_id = u.request_id
 WHERE u.account_id = $1 AND u.api_key_id = $2 AND ${TRUE_RECORD}`;

type UsageColumns = Omit<UsageRow, 'costNano' | 'chargedNano'> & {
  readonly cost: string;
  readonly absorbed: string;
};

const LOWEST_ID = '00000000-0000-0000-0000-000000000000';
const HIGHEST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** Usage of one API key, newest first. */
export async function listUsageRows(connection: Connection, listing: UsageListing): Promise<UsageRow[]> {
  const { accountId, apiKeyId, model = null, from, to, before = HIGHEST_ID, limit } = listing;
  const end = to === undefined ? HIGHEST_ID : lowestRequestId(to);
  const { rows } = await connection.query<UsageColumns>(
    `${SELECT_USAGE} AND u.request_id >= $3 AND u.request_id < $4 AND ($5::text IS NULL OR u.model = $5)
      ORDER BY u.request_id DESC LIMIT $6`,
    [
      accountId,
      apiKeyId,
      from === undefined ? LOWEST_ID : lowestRequestId(from),
      before < end ? before : end,
      model,
      limit,
    ],
  );
  return rows.map(toUsageRow);
}

/** One request of this API key; null if it is not settled yet, another's, or unknown. */
export async function findUsageRow(
  connection: Connection,
  owner: UsageOwner,
  requestId: string,
): Promise<UsageRow | null> {
  const { rows } = await connection.query<UsageColumns>(`${SELECT_USAGE} AND u.request_id = $3`, [
    owner.accountId,
    owner.apiKeyId,
    requestId,
  ]);
  const row = rows[0];
  return row === undefined ? null : toUsageRow(row);
}

function toUsageRow({ cost, absorbed, ...row }: UsageColumns): UsageRow {
  return { ...row, costNano: BigInt(cost), chargedNano: BigInt(cost) - BigInt(absorbed) };
}
