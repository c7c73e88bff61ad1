import assert from 'node:assert/strict';
import type { Pool } from 'pg';
import { BUSY, BatchLane, lockParameters, type LockWait } from './batch-lane.js';
import {
  HOLD_TTL_SECONDS,
  type HoldRequest,
  type HoldResult,
  type HoldStore,
  type TouchOutcome,
  type TouchedHold,
} from './hold-store.js';
import { int8, poolSql, readBigint, readText, type Row, type Sql } from './sql.js';

interface ClosingHold {
  readonly requestId: string;
  readonly costNano: bigint;
}

export interface PostgresHoldStoreOptions {
  /** Longest wait for an account that somebody else has locked; 5,000 unless told. */
  readonly busyMaxMs?: number;
}

/**
 * Holds as rows in Postgres. Callers at the same time share a statement: one in flight for each of hold, touch and
 * close, and one more of hold and close while accounts are locked by somebody else.
 */
export class PostgresHoldStore implements HoldStore {
  private readonly sql: Sql;
  private readonly holds: BatchLane<HoldRequest, HoldResult>;
  private readonly touches: BatchLane<TouchedHold, TouchOutcome>;
  private readonly closings: BatchLane<ClosingHold, true>;

  /** Up to five connections of `pool` are used at once; it stays the caller's to end. */
  constructor(pool: Pool, options: PostgresHoldStoreOptions = {}) {
    const { busyMaxMs } = options;
    this.sql = poolSql(pool);
    this.holds = new BatchLane<HoldRequest, HoldResult>({
      call: (items, wait) => this.placeAll(items, wait),
      keyOf: (item) => item.accountId,
      busyMaxMs,
    });
    this.touches = new BatchLane<TouchedHold, TouchOutcome>({
      call: (items, wait) => this.touchAll(items, wait),
      keyOf: (item) => item.requestId,
    });
    this.closings = new BatchLane<ClosingHold, true>({
      call: (items, wait) => this.closeAll(items, wait),
      keyOf: (item) => item.requestId,
      busyMaxMs,
    });
  }

  async hold(request: HoldRequest): Promise<HoldResult> {
    assert(request.totalNano >= 0n && (request.leastNano ?? 0n) >= 0n, 'a hold is not negative');
    return this.holds.run(request);
  }

  async touch(holds: readonly TouchedHold[]): Promise<Map<string, TouchOutcome>> {
    const outcomes = await Promise.all(holds.map((hold) => this.touches.run(hold)));
    return new Map(holds.map(({ requestId }, index) => [requestId, outcomes[index] ?? 'gone']));
  }

  /** A request's hold is one row, whoever pays: the account is of no use here. */
  async close(requestId: string, _accountId: string, costNano: bigint): Promise<void> {
    assert(costNano >= 0n, 'a cost is not negative');
    await this.closings.run({ requestId, costNano });
  }

  async shutdown(): Promise<void> {
    await Promise.all([this.holds.shutdown(), this.touches.shutdown(), this.closings.shutdown()]);
  }

  private async placeAll(
    items: readonly HoldRequest[],
    wait: LockWait,
  ): Promise<(HoldResult | typeof BUSY)[]> {
    const p = items.map(({ requestId, accountId, totalNano, leastNano }) => ({
      r: requestId,
      a: accountId,
      total: int8(totalNano),
      least: int8(leastNano ?? totalNano),
      ttl: HOLD_TTL_SECONDS,
    }));
    const rows = await this.sql('SELECT * FROM tollgate.hold_batch($1, $2, $3)', [
      JSON.stringify(p),
      ...lockParameters(wait),
    ]);
    return rows.map(toHoldResult);
  }

  /** A hold whose account is locked counts as open: it is renewed the next time, long before it expires. */
  private async touchAll(items: readonly TouchedHold[], wait: LockWait): Promise<TouchOutcome[]> {
    const checkpoints = items.flatMap(({ checkpoint }) => (checkpoint === null ? [] : [checkpoint]));
    const rows = await this.sql('SELECT tollgate.touch_batch($1, $2, $3, $4, $5) AS id', [
      items.map(({ requestId }) => requestId),
      HOLD_TTL_SECONDS,
      ...lockParameters(wait),
      checkpoints.length === 0 ? null : JSON.stringify(checkpoints),
    ]);
    const open = new Set(rows.map((row) => readText(row, 'id')));
    return items.map(({ requestId }) => (open.has(requestId) ? 'open' : 'gone'));
  }

  private async closeAll(items: readonly ClosingHold[], wait: LockWait): Promise<(true | typeof BUSY)[]> {
    const p = items.map(({ requestId, costNano }) => ({ r: requestId, cost: int8(costNano) }));
    const rows = await this.sql('SELECT * FROM tollgate.close_batch($1, $2, $3)', [
      JSON.stringify(p),
      ...lockParameters(wait),
    ]);
    return rows.map((row) => (readText(row, 'outcome') === 'busy' ? BUSY : true));
  }
}

function toHoldResult(row: Row): HoldResult | typeof BUSY {
  const outcome = readText(row, 'outcome');
  switch (outcome) {
    case 'held':
      return {
        outcome,
        grantedNano: readBigint(row, 'granted'),
        availableNano: readBigint(row, 'available'),
        escrowId: null,
      };
    case 'refused':
    case 'unknown_account':
      return { outcome: 'refused', availableNano: readBigint(row, 'available') };
    case 'settled':
      return { outcome };
    case 'busy':
      return BUSY;
    default:
      throw new Error(`hold_batch answered ${outcome}`);
  }
}
