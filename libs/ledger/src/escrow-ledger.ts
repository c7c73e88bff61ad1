import assert from 'node:assert/strict';
import { BUSY, BatchLane, lockParameters, type LockWait } from './batch-lane.js';
import { shutEscrow, wantedEscrow, type PocketRest } from './escrow-return.js';
import { HoldStoreUnavailableError } from './hold-store.js';
import { int8, readBigint, readText, type Row, type Sql } from './sql.js';
import { isLockTrouble, isServerTrouble, sqlstateOf } from './sqlstate.js';

/** What Postgres answers to a pocket that wants to be filled. Amounts in nano-credits. */
export interface EscrowGrant {
  /**
   * Open: `grantedNano` is the escrow's total now. Closing: this escrow grows no more, its pocket has to be shut. An account that
   * does not exist or is suspended gets nothing.
   */
  readonly outcome: 'open' | 'closing' | 'unknown_account' | 'suspended';
  readonly grantedNano: bigint;
  /** Left beside the escrow. */
  readonly availableNano: bigint;
  /** What sits in the account's closing escrows: it is free again later, as far as it was not spent. */
  readonly returningNano: bigint;
}

/** The side of Postgres in escrowed holds. Every method rejects with HoldStoreUnavailableError if Postgres cannot decide. */
export interface EscrowLedger {
  /** Raises an escrow to a total, as far as the balance allows; begins it where it is unknown. Asking again changes nothing. */
  grant(accountId: string, escrowId: string, totalNano: bigint): Promise<EscrowGrant>;
  /** Sets the account's open escrow closing, because its money is wanted. */
  wanted(accountId: string): Promise<void>;
  /**
   * The pocket of an escrow is gone: frees what it had left. Null where nobody knows: then the rest is free two minutes later.
   * Only to be called once Redis has said so.
   */
  shut(escrowId: string, rest: PocketRest): Promise<void>;
  /** What the account's escrows hold together, in nano-credits. */
  setAside(accountId: string): Promise<bigint>;
}

interface AskedGrant {
  readonly accountId: string;
  readonly escrowId: string;
  readonly totalNano: bigint;
}

/** Longest wait for an account that somebody else has locked. */
const BUSY_MAX_MS = 1_000;

/** The SQL functions of escrows. Grants at the same time share a statement. */
export class PostgresEscrowLedger implements EscrowLedger {
  private readonly grants: BatchLane<AskedGrant, EscrowGrant>;

  constructor(private readonly sql: Sql) {
    this.grants = new BatchLane<AskedGrant, EscrowGrant>({
      call: (items, wait) => this.grantAll(items, wait),
      keyOf: (item) => item.accountId,
      busyMaxMs: BUSY_MAX_MS,
    });
  }

  grant(accountId: string, escrowId: string, totalNano: bigint): Promise<EscrowGrant> {
    return this.grants.run({ accountId, escrowId, totalNano });
  }

  async wanted(accountId: string): Promise<void> {
    await this.ask(() => wantedEscrow(this.sql, accountId));
  }

  async shut(escrowId: string, rest: PocketRest): Promise<void> {
    await this.ask(() => shutEscrow(this.sql, escrowId, rest));
  }

  async setAside(accountId: string): Promise<bigint> {
    const [row] = await this.ask(() =>
      this.sql(
        `SELECT COALESCE(sum(granted - used - released), 0)::bigint AS amount FROM tollgate.reservation
          WHERE account_id = $1 AND kind = 'escrow' AND state <> 'closed'`,
        [accountId],
      ),
    );
    return row === undefined ? 0n : readBigint(row, 'amount');
  }

  private async grantAll(
    items: readonly AskedGrant[],
    wait: LockWait,
  ): Promise<(EscrowGrant | typeof BUSY)[]> {
    const p = items.map(({ accountId, escrowId, totalNano }) => ({
      a: accountId,
      e: escrowId,
      total: int8(totalNano),
    }));
    const rows = await this.sql('SELECT * FROM tollgate.grant_escrow_batch($1, $2, $3)', [
      JSON.stringify(p),
      ...lockParameters(wait),
    ]);
    return rows.map(toGrant);
  }

  private async ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      const sqlstate = sqlstateOf(error);
      const isBusy = sqlstate !== null && isLockTrouble(sqlstate);
      // Not the driver's: one of our own.
      if (error instanceof assert.AssertionError || !(isBusy || isServerTrouble(sqlstate))) throw error;
      throw new HoldStoreUnavailableError('Postgres cannot fill or empty a pocket', { cause: error });
    }
  }
}

function toGrant(row: Row): EscrowGrant | typeof BUSY {
  const outcome = readText(row, 'outcome');
  switch (outcome) {
    case 'open':
    case 'closing':
    case 'unknown_account':
    case 'suspended':
      return {
        outcome,
        grantedNano: readBigint(row, 'granted'),
        availableNano: readBigint(row, 'available'),
        returningNano: readBigint(row, 'returning'),
      };
    case 'busy':
      return BUSY;
    default:
      throw new Error(`grant_escrow_batch answered ${outcome}`);
  }
}
