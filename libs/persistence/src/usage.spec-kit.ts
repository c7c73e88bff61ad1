import type { Client } from 'pg';
import { v7 as uuidv7 } from 'uuid';

/** A usage record as a spec wants it; the rest is made up. */
export interface SpecUsage {
  readonly requestId: string;
  readonly accountId: string;
  readonly apiKeyId: string;
  readonly model?: string;
  readonly costNano?: bigint;
  /** What of the cost the account could not pay. */
  readonly absorbedNano?: bigint;
  readonly swept?: boolean;
}

const REVENUE = '00000000-0000-0000-0000-000000000001';
const ABSORBED = '00000000-0000-0000-0000-000000000002';

/** Writes usage as its owner can, with nothing but the transfer that readers look at. */
export async function insertUsage(owner: Client, usage: SpecUsage): Promise<void> {
  const {
    requestId,
    accountId,
    apiKeyId,
    model = 'm',
    costNano = 0n,
    absorbedNano = 0n,
    swept = false,
  } = usage;
  await owner.query(
    `INSERT INTO tollgate.usage_record (request_id, swept, account_id, api_key_id, model, upstream_model, price_id,
       multiplier_ppm, units, billable, usage_source, outcome, cost, attempts, total_ms, finished_at, body_hash)
     VALUES ($1, $2, $3, $4, $5, 'up', $6, 1000000, '{"input": 7}', true, 'provider', 'completed', $7, 1, 34, now(), '')`,
    [requestId, swept, accountId, apiKeyId, model, uuidv7(), costNano.toString()],
  );
  if (absorbedNano === 0n) return;
  await owner.query(
    `INSERT INTO tollgate.transfer (kind, ref_id, debit_id, credit_id, amount) VALUES ('absorbed', $1, $2, $3, $4)`,
    [requestId, ABSORBED, REVENUE, absorbedNano.toString()],
  );
}
