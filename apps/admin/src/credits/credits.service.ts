import assert from 'node:assert/strict';
import { Injectable } from '@nestjs/common';
import {
  adjust,
  getBalance,
  type AdjustResult,
  type AdjustmentKind,
  type Row,
  type Sql,
} from '@tollgate/ledger';
import { TransferEntity } from '@tollgate/persistence';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { lockAccount } from '../accounts/accounts.service.js';
import { balanceView, type BalanceView } from '../accounts/balance.js';
import { AuditedChanges } from '../audit/audited-changes.js';
import type { Actor } from '../auth/operator.js';
import { EscrowReturn } from '../escrows/escrow-return.js';
import { Problem, type ProblemCode } from '../http/problem.js';
import type { IdempotentRequest, OnceAnswer } from './idempotent-request.js';
import { findStoredAnswer, nameOfCall, storeAnswer, type IdempotentCall } from './idempotency.js';
import { transferView } from './transfer-view.js';
import type { MoneyAnswer } from './transfer.schema.js';

/** Credits that come to an account (amount > 0) or leave it, other than by usage. */
export interface Movement {
  readonly kind: AdjustmentKind;
  readonly accountId: string;
  readonly amountNano: bigint;
  readonly reference?: string | null | undefined;
  readonly note?: string | null | undefined;
}

@Injectable()
export class CreditsService {
  /** The calls that have no answer yet, by their names. */
  private readonly running = new Map<string, Promise<OnceAnswer>>();

  constructor(
    private readonly changes: AuditedChanges,
    private readonly escrows: EscrowReturn,
  ) {}

  /**
   * Moves credits once for each Idempotency-Key: the booking, its audit row and the stored answer are one transaction
   * under the account's lock, so that of equal calls at once the first books and the others repeat its answer. What is set aside
   * for Redis is taken back first, if the account is too short otherwise. That takes several transactions: an equal call that came
   * meanwhile could be refused between them, and its caller told that nothing was moved. So it waits for the first, and is told the same.
   * @throws Problem 404 for no such account, 409 for a refused booking or a key of another body, 503 if Redis has to give credits
   *   back and does not answer.
   */
  async move(actor: Actor, request: IdempotentRequest, movement: Movement): Promise<OnceAnswer> {
    const call = { ...request, accountId: movement.accountId };
    const name = nameOfCall(call);
    const running = this.running.get(name);
    if (running !== undefined) return { ...(await running), replayed: true };
    const done = this.moveOnce(actor, call, movement).finally(() => this.running.delete(name));
    this.running.set(name, done);
    return done;
  }

  private moveOnce(actor: Actor, call: IdempotentCall, movement: Movement): Promise<OnceAnswer> {
    return this.escrows.around(movement.accountId, (release) =>
      this.changes.run<OnceAnswer>(actor, async (manager) => {
        await lockAccount(manager, movement.accountId);
        await release(manager);
        const stored = await findStoredAnswer(manager, call);
        if (stored !== null) return { answer: { answer: stored, replayed: true }, audit: [] };
        const before = await readBalance(manager, movement.accountId);
        const transferId = await book(manager, movement);
        const answer = await readAnswer(manager, movement.accountId, transferId);
        await storeAnswer(manager, call, answer);
        const action = `credits.${movement.kind}`;
        const target = `account/${movement.accountId}`;
        return {
          answer: { answer, replayed: false },
          audit: [{ action, target, before: { balance: before }, after: answer }],
        };
      }),
    );
  }
}

async function book(manager: EntityManager, movement: Movement): Promise<string> {
  const result = await adjust(sqlOf(manager), { refId: uuidv7(), ...movement });
  if (result.outcome === 'booked') return result.transfer.id;
  throw refusalOf(result.outcome);
}

const REFUSALS: Readonly<Record<Exclude<AdjustResult['outcome'], 'booked'>, [ProblemCode, string] | null>> = {
  would_break_floor: ['would_break_floor', 'The account does not have this much available.'],
  out_of_range: ['would_exceed_limit', 'No balance can be above 9000000 credits.'],
  // The account is locked and the reference is new.
  unknown_account: null,
  again: null,
  conflict: null,
};

function refusalOf(outcome: Exclude<AdjustResult['outcome'], 'booked'>): Error {
  const refusal = REFUSALS[outcome];
  assert(refusal !== null, `a new booking on a locked account is never "${outcome}"`);
  return new Problem(...refusal);
}

async function readAnswer(
  manager: EntityManager,
  accountId: string,
  transferId: string,
): Promise<MoneyAnswer> {
  const transfer = await manager.findOneByOrFail(TransferEntity, { id: transferId });
  return { transfer: transferView(transfer), balance: await readBalance(manager, accountId) };
}

async function readBalance(manager: EntityManager, accountId: string): Promise<BalanceView> {
  const balance = await getBalance(sqlOf(manager), accountId);
  assert(balance !== null, 'a locked account has a balance');
  const { postedNano, heldNano, floorNano } = balance;
  return balanceView({ posted: postedNano, held: heldNano, floor: floorNano });
}

function sqlOf(manager: EntityManager): Sql {
  return (text, params) => manager.query<Row[]>(text, params);
}
