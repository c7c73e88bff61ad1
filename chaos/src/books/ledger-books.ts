import type { Client } from 'pg';
import type { KnownPrice } from './exact-cost.js';

/** One usage record: the second book. Amounts in nano-credits. */
export interface UsageRow {
  readonly requestId: string;
  readonly isSwept: boolean;
  readonly accountId: string;
  readonly costNano: bigint;
  readonly input: number;
  readonly output: number;
  readonly priceId: string;
  readonly multiplierPpm: number;
  readonly isBillable: boolean;
  readonly usageSource: string;
  readonly outcome: string;
  /** Milliseconds since the epoch. */
  readonly recordedAtMs: number;
}

/** One transfer: the third book. */
export interface TransferRow {
  readonly id: string;
  readonly kind: string;
  readonly refId: string;
  readonly accountId: string | null;
  /** Signed from the account's side; what is absorbed is negative too. */
  readonly amountNano: bigint;
}

export interface AccountRow {
  readonly id: string;
  readonly postedNano: bigint;
  readonly heldNano: bigint;
  readonly floorNano: bigint;
}

/** Everything in Postgres that a run is judged by. */
export interface LedgerBooks {
  readonly usage: readonly UsageRow[];
  readonly transfers: readonly TransferRow[];
  readonly accounts: readonly AccountRow[];
  readonly prices: readonly KnownPrice[];
  readonly quarantine: readonly { readonly requestId: string; readonly reason: string }[];
  readonly violations: readonly string[];
  readonly liveReservations: readonly string[];
}

/** Reads the books once nothing moves any more. */
export async function readLedgerBooks(client: Client): Promise<LedgerBooks> {
  const [usage, transfers, accounts, prices, quarantine, violations, live] = [
    await client.query(`SELECT request_id, swept, account_id, cost, units, price_id, multiplier_ppm, billable, usage_source,
      outcome, extract(epoch FROM recorded_at) * 1000 AS recorded_ms FROM tollgate.usage_record`),
    await client.query(`SELECT id, kind, ref_id, account_id,
      CASE WHEN credit_id = account_id THEN amount ELSE -amount END AS amount FROM tollgate.transfer ORDER BY id`),
    await client.query('SELECT id, posted, held, floor FROM tollgate.account'),
    await client.query(`SELECT id, model, rates, per_request, minimum_charge, extract(epoch FROM effective_from) * 1000 AS from_ms
      FROM tollgate.price ORDER BY effective_from`),
    await client.query('SELECT request_id, reason FROM tollgate.quarantine'),
    await client.query('SELECT * FROM tollgate.ledger_violation'),
    await client.query(`SELECT kind || ' ' || id || ' of ' || account_id || ' ' || state || ': ' || granted - used - released AS line
      FROM tollgate.reservation WHERE state <> 'closed'`),
  ];
  return {
    usage: usage.rows.map(toUsageRow),
    transfers: transfers.rows.map((row) => ({
      id: String(row.id),
      kind: row.kind,
      refId: row.ref_id,
      accountId: row.account_id,
      amountNano: BigInt(row.amount),
    })),
    accounts: accounts.rows.map((row) => ({
      id: row.id,
      postedNano: BigInt(row.posted),
      heldNano: BigInt(row.held),
      floorNano: BigInt(row.floor),
    })),
    prices: prices.rows.map(toPrice),
    quarantine: quarantine.rows.map((row) => ({ requestId: row.request_id, reason: row.reason })),
    violations: violations.rows.map(({ invariant, ref, detail }) => `${invariant} ${ref}: ${detail}`),
    liveReservations: live.rows.map(({ line }) => line),
  };
}

function toUsageRow(row: any): UsageRow {
  return {
    requestId: row.request_id,
    isSwept: row.swept,
    accountId: row.account_id,
    costNano: BigInt(row.cost),
    input: Number(row.units.input ?? 0),
    output: Number(row.units.output ?? 0),
    priceId: row.price_id,
    multiplierPpm: row.multiplier_ppm,
    isBillable: row.billable,
    usageSource: row.usage_source,
    outcome: row.outcome,
    recordedAtMs: Number(row.recorded_ms),
  };
}

function toPrice(row: any): KnownPrice {
  return {
    id: row.id,
    model: row.model,
    inputPico: BigInt(row.rates.input),
    outputPico: BigInt(row.rates.output),
    perRequestNano: BigInt(row.per_request),
    minimumChargeNano: BigInt(row.minimum_charge),
    effectiveFromMs: Number(row.from_ms),
  };
}
