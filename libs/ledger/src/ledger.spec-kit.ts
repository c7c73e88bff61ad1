import type { UsageEvent } from '@tollgate/contracts';
import { createPool } from '@tollgate/persistence';
import type { Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { adjust } from './adjust.js';
import { checkBooks } from './book-check.js';
import type { TouchOutcome, TouchedHold } from './hold-store.js';
import { poolSql, readBigint, type Row, type Sql } from './sql.js';
import { hashUsageEvent } from './usage-event-hash.js';

/** What a test database offers: two roles. */
export interface LedgerUrls {
  readonly ownerUrl: string;
  readonly appUrl: string;
}

export interface AccountState {
  readonly posted: bigint;
  readonly held: bigint;
  readonly floor: bigint;
  readonly seq: bigint;
}

/** A ledger for tests: everything runs as the application role, except what only the owner may do. */
export class LedgerBench {
  readonly app: Pool;
  readonly owner: Pool;
  readonly sql: Sql;

  constructor(readonly urls: LedgerUrls) {
    this.app = createPool({ url: urls.appUrl, max: 12, name: 'ledger-spec' });
    this.owner = createPool({ url: urls.ownerUrl, max: 4, name: 'ledger-spec-owner' });
    this.sql = poolSql(this.app);
  }

  async close(): Promise<void> {
    await Promise.all([this.app.end(), this.owner.end()]);
  }

  /** An account with this posted balance, as an operator would make it. */
  async newAccount(balanceNano: bigint, floorNano = 0n): Promise<string> {
    const id = uuidv7();
    await this.sql('INSERT INTO tollgate.account (id, name, floor) VALUES ($1, $2, $3)', [
      id,
      'spec',
      floorNano.toString(),
    ]);
    if (balanceNano > 0n) await this.topUp(id, balanceNano);
    return id;
  }

  async topUp(accountId: string, amountNano: bigint): Promise<void> {
    await adjust(this.sql, { kind: 'top_up', refId: uuidv7(), accountId, amountNano });
  }

  async account(id: string): Promise<AccountState> {
    const [row] = await this.sql('SELECT posted, held, floor, seq FROM tollgate.account WHERE id = $1', [id]);
    if (row === undefined) throw new Error(`no account ${id}`);
    return {
      posted: readBigint(row, 'posted'),
      held: readBigint(row, 'held'),
      floor: readBigint(row, 'floor'),
      seq: readBigint(row, 'seq'),
    };
  }

  /** One call of the SQL function, events in the order given: nothing sorts them, nothing halves them. */
  settleDirectly(events: readonly UsageEvent[]): Promise<Row[]> {
    const p = events.map((event) => ({ ...event, bodyHash: hashUsageEvent(event).toString('hex') }));
    return this.sql('SELECT outcome, reason, charged, absorbed FROM tollgate.settle_batch($1)', [
      JSON.stringify(p),
    ]);
  }

  /** What the books say against themselves: nothing, in a sound ledger. Read as a whole, and as what changed since the last time. */
  async violations(): Promise<unknown[]> {
    const rows = await this.sql('SELECT * FROM tollgate.ledger_violation');
    const pass = await checkBooks(this.sql, { everySeconds: 0, accountsMax: 500 });
    return [...rows, ...(pass?.wrong ?? [])];
  }

  /** Transfers of one account, oldest first. */
  transfers(accountId: string): Promise<Row[]> {
    return this.sql(
      `SELECT kind, ref_id, amount, account_seq, balance_after FROM tollgate.transfer
        WHERE account_id = $1 ORDER BY account_seq`,
      [accountId],
    );
  }

  /**
   * Sets columns of reservations as only the owner may. Locks their accounts first, as every function of the schema does before it
   * writes to reservations: in any other order rows of several accounts would deadlock with a batch that settles from them.
   */
  async changeReservations(ids: readonly string[], set: string): Promise<void> {
    const client = await this.owner.connect();
    let isThrough = false;
    try {
      await client.query('BEGIN');
      const accounts = 'ARRAY(SELECT account_id FROM tollgate.reservation WHERE id = ANY ($1))';
      await client.query(`SELECT tollgate.lock_accounts(${accounts}, NULL, false)`, [ids]);
      await client.query(`UPDATE tollgate.reservation SET ${set} WHERE id = ANY ($1)`, [ids]);
      await client.query('COMMIT');
      isThrough = true;
    } finally {
      // A transaction that failed ends with its connection.
      client.release(!isThrough);
    }
  }

  /** Locks an account like a transaction that somebody left open. Answers how to end it. */
  async lockAccount(id: string): Promise<() => Promise<void>> {
    const client = await this.owner.connect();
    await client.query('BEGIN');
    await client.query('SELECT FROM tollgate.account WHERE id = $1 FOR UPDATE', [id]);
    return async () => {
      await client.query('ROLLBACK');
      client.release();
    };
  }
}

/** Holds to renew, without checkpoints. */
export function touches(accountId: string, ids: readonly string[]): TouchedHold[] {
  return ids.map((requestId) => ({ requestId, accountId, checkpoint: null }));
}

/** The requests whose holds a touch found open. */
export function openOnes(outcomes: ReadonlyMap<string, TouchOutcome>): Set<string> {
  return new Set([...outcomes].flatMap(([requestId, outcome]) => (outcome === 'open' ? [requestId] : [])));
}

/** A usage event of an account, completed and priced, unless told otherwise. */
export function usageEvent(
  accountId: string,
  costNano: bigint,
  changes: Partial<UsageEvent> = {},
): UsageEvent {
  return {
    requestId: uuidv7(),
    accountId,
    apiKeyId: SOME_ID,
    model: 'model-of-spec',
    upstreamModel: 'upstream-model-of-spec',
    deploymentId: SOME_ID,
    priceId: SOME_ID,
    multiplierPpm: 1_000_000,
    units: { input: 12, output: 34 },
    billable: true,
    costNano: costNano.toString(),
    usageSource: 'provider',
    outcome: 'completed',
    attempts: 1,
    firstByteMs: 120,
    totalMs: 950,
    finishedAt: '2026-11-21T09:30:00.000Z',
    ...changes,
  };
}

const SOME_ID = '01890000-0000-7000-8000-00000000abcd';

/** UUIDv7s in ascending order, one for each call, whatever the clock does. */
export function requestIds(count: number): string[] {
  return Array.from({ length: count }, () => uuidv7()).sort();
}
