import fc from 'fast-check';
import { v7 as uuidv7 } from 'uuid';
import { adjust } from './adjust.js';
import { escrow as escrowRow, grantEscrow } from './escrow.spec-kit.js';
import { adjustWithShut, finishEscrows, shutEscrow, wantedEscrow, type PocketRest } from './escrow-return.js';
import { expireHolds } from './expire-holds.js';
import type { LedgerModel, ModelRest, ModelUsage } from './ledger.model.spec-kit.js';
import { requestIds, usageEvent, type LedgerBench } from './ledger.spec-kit.js';
import type { PostgresHoldStore } from './postgres-hold-store.js';
import { settleBatch, type Settlement } from './settle-batch.js';
import { sweptUsage } from './settle-swept.js';
import { sqlstateOf } from './sqlstate.js';
import type { UsageEvent } from '@tollgate/contracts';

const REQUESTS = 10;
const ESCROWS = 6;

/** One thing that happens to a ledger. Requests, accounts and escrows by number; amounts in nano-credits. */
export type Step =
  | {
      readonly do: 'hold';
      readonly request: number;
      readonly account: number;
      readonly total: bigint;
      readonly least: bigint;
    }
  | {
      readonly do: 'touch';
      readonly request: number;
      readonly account: number;
      readonly checkpoint: bigint | null;
    }
  | { readonly do: 'close'; readonly request: number; readonly cost: bigint }
  | ({ readonly do: 'settle' } & ModelUsage)
  | { readonly do: 'expire'; readonly requests: readonly number[] }
  | { readonly do: 'adjust'; readonly reference: number; readonly account: number; readonly amount: bigint }
  | { readonly do: 'suspend'; readonly account: number; readonly isSuspended: boolean }
  | { readonly do: 'grant'; readonly escrow: number; readonly total: bigint }
  | { readonly do: 'wanted'; readonly account: number }
  | { readonly do: 'shut'; readonly escrow: number; readonly rest: ModelRest }
  | { readonly do: 'finish'; readonly escrows: readonly number[] }
  | {
      readonly do: 'adjustWithShut';
      readonly reference: number;
      readonly escrow: number;
      readonly rest: ModelRest;
      readonly amount: bigint;
    };

/** Each account has two of the escrows. */
const accountOfEscrow = (escrow: number): number => escrow % 3;
/** Most requests keep to one account; some come under another one, as a fault of ours would make them. */
const accountOf = (request: number, stray: number): number => (stray === 0 ? request + 1 : request) % 3;

const credits = fc.bigInt({ min: 0n, max: 60n });
const account = fc.nat({ max: 2 });
const request = fc.nat({ max: REQUESTS - 1 });
const escrow = fc.nat({ max: ESCROWS - 1 });
const cost = fc.constantFrom(0n, 7n, 20n, 30n, 90n);
const amount = fc.bigInt({ min: -80n, max: 80n });
const reference = fc.nat({ max: 4 });
const little = fc.bigInt({ min: 0n, max: 30n });
const rest: fc.Arbitrary<ModelRest> = fc.option(fc.record({ spent: little, held: little }));

/** Whom the steps of a history concern. */
interface Cast {
  readonly request: fc.Arbitrary<number>;
  readonly escrow: fc.Arbitrary<number>;
  readonly stray: fc.Arbitrary<number>;
}

const sometimes = fc.nat({ max: 9 });
const never = fc.constant(9);
const everybody: Cast = { request, escrow, stray: sometimes };
/** One account with few requests, so that they meet in its two escrows. */
const oneAccount: Cast = {
  request: fc.constantFrom(0, 3, 6, 9),
  escrow: fc.constantFrom(0, 3),
  stray: never,
};

/** Steps of requests. */
function requestSteps(cast: Cast): fc.Arbitrary<Step>[] {
  return [
    fc.tuple(cast.request, cast.stray, credits, credits).map(([asked, other, total, least]): Step => ({
      do: 'hold',
      request: asked,
      account: accountOf(asked, other),
      total,
      least,
    })),
    fc.tuple(cast.request, fc.option(cost)).map(([touched, checkpoint]): Step => ({
      do: 'touch',
      request: touched,
      account: touched % 3,
      checkpoint,
    })),
    fc
      .tuple(cast.request, cast.stray, cost, fc.option(cast.escrow))
      .map(([ended, other, price, from]): Step => ({
        do: 'settle',
        request: ended,
        account: accountOf(ended, other),
        cost: price,
        escrow: from,
      })),
    fc.record({ do: fc.constant('close' as const), request: cast.request, cost: credits }),
    fc.record({ do: fc.constant('expire' as const), requests: fc.subarray([...Array(REQUESTS).keys()]) }),
  ];
}

/** Steps of sweeping and of escrows. Nothing is swept under another account than the request's. */
function escrowSteps(cast: Cast): fc.Arbitrary<Step>[] {
  const grant = fc.record({
    do: fc.constant('grant' as const),
    escrow: cast.escrow,
    total: fc.bigInt({ min: 0n, max: 90n }),
  });
  return [
    fc.tuple(cast.request, cost, fc.option(cast.escrow)).map(([ended, price, from]): Step => ({
      do: 'settle',
      request: ended,
      account: ended % 3,
      cost: price,
      escrow: from,
      swept: true,
    })),
    grant,
    grant,
    fc.record({ do: fc.constant('wanted' as const), account }),
    fc.record({ do: fc.constant('shut' as const), escrow: cast.escrow, rest }),
    fc.record({ do: fc.constant('finish' as const), escrows: fc.subarray([...Array(ESCROWS).keys()]) }),
  ];
}

const operatorSteps: fc.Arbitrary<Step>[] = [
  fc.record({ do: fc.constant('adjust' as const), reference, account, amount }),
  fc.record({ do: fc.constant('suspend' as const), account, isSuspended: fc.boolean() }),
  fc.record({ do: fc.constant('adjustWithShut' as const), reference, escrow, rest, amount }),
];

const historyOf = (steps: fc.Arbitrary<Step>[]): fc.Arbitrary<Step[]> =>
  fc.array(fc.oneof(...steps), { minLength: 1, maxLength: 50, size: 'max' });

/** What happens to a ledger, one after the other. */
export const histories = fc.oneof(
  historyOf([...requestSteps(everybody), ...escrowSteps(everybody), ...operatorSteps]),
  historyOf([...requestSteps(oneAccount), ...escrowSteps(oneAccount)]),
);
/** What may happen at the same time. Requests that are swept keep to their account: its lock is what keeps them apart. */
export const parallelHistories = fc.oneof(
  historyOf([...requestSteps(everybody), ...operatorSteps]),
  historyOf([
    ...requestSteps({ ...everybody, stray: never }),
    ...escrowSteps({ ...everybody, stray: never }),
    ...operatorSteps,
  ]),
);

/** The real ledger, taking the model's steps. */
export class RealLedger {
  readonly accounts: string[] = [];
  private readonly requestIds = requestIds(REQUESTS);
  private readonly references = requestIds(5);
  private readonly escrows = requestIds(ESCROWS);

  constructor(
    private readonly bench: LedgerBench,
    private readonly store: PostgresHoldStore,
    private readonly openings: readonly bigint[],
  ) {}

  async open(): Promise<void> {
    for (const opening of this.openings) this.accounts.push(await this.bench.newAccount(opening, -10n));
  }

  /** What each escrow has, by number. */
  async escrowRows(): Promise<string[]> {
    return Promise.all(this.escrows.map((id) => escrowRow(this.bench, id)));
  }

  async take(step: Step): Promise<string> {
    switch (step.do) {
      case 'hold':
        return this.hold(step);
      case 'touch':
        return this.touch(step);
      case 'close':
        await this.store.close(this.request(step.request), this.account(step.request % 3), step.cost);
        return '';
      case 'settle':
        return this.settle(step);
      case 'expire':
        await this.expire(step.requests.map((index) => this.request(index)));
        return '';
      case 'adjust':
        return (await adjust(this.bench.sql, this.adjustment(step, step.account))).outcome;
      case 'suspend': {
        const params = [this.account(step.account), step.isSuspended ? 'suspended' : 'active'];
        await this.bench.sql('UPDATE tollgate.account SET status = $2 WHERE id = $1', params);
        return '';
      }
      default:
        return this.takeOfEscrow(step);
    }
  }

  private async takeOfEscrow(
    step: Extract<Step, { do: 'grant' | 'wanted' | 'shut' | 'finish' | 'adjustWithShut' }>,
  ): Promise<string> {
    const { sql } = this.bench;
    switch (step.do) {
      case 'grant': {
        const accountId = this.account(accountOfEscrow(step.escrow));
        const answer = await grantEscrow(this.bench, {
          accountId,
          escrowId: this.escrow(step.escrow),
          totalNano: step.total,
        });
        return `${answer.outcome} ${answer.granted}`;
      }
      case 'wanted': {
        const wanted = await wantedEscrow(sql, this.account(step.account));
        return wanted === null ? '' : String(this.escrows.indexOf(wanted));
      }
      case 'shut': {
        const freed = await shutEscrow(sql, this.escrow(step.escrow), toRest(step.rest));
        return freed === null ? 'unknown' : String(freed);
      }
      case 'finish':
        await this.bench.changeReservations(
          step.escrows.map((index) => this.escrow(index)),
          `shut_at = shut_at - interval '3 min'`,
        );
        await finishEscrows(sql, { queueClearUntil: new Date(Date.now() + 60_000), escrowsMax: 1_000 });
        return '';
      case 'adjustWithShut': {
        const adjustment = this.adjustment(step, accountOfEscrow(step.escrow));
        const ended = { escrowId: this.escrow(step.escrow), rest: toRest(step.rest) };
        return (await adjustWithShut(sql, adjustment, ended)).outcome;
      }
    }
  }

  private async hold(step: Extract<Step, { do: 'hold' }>): Promise<string> {
    const result = await this.store.hold({
      requestId: this.request(step.request),
      accountId: this.account(step.account),
      totalNano: step.total,
      leastNano: step.least,
    });
    if (result.outcome === 'held') return `held ${result.grantedNano}`;
    return result.outcome === 'refused' ? `refused ${result.availableNano}` : result.outcome;
  }

  private async touch(step: Extract<Step, { do: 'touch' }>): Promise<string> {
    const requestId = this.request(step.request);
    const checkpoint =
      step.checkpoint === null
        ? null
        : usageEvent(this.account(step.account), step.checkpoint, { requestId, swept: true });
    const rows = await this.bench.sql('SELECT tollgate.touch_batch($1, 90, NULL, false, $2) AS id', [
      [requestId],
      checkpoint === null ? null : JSON.stringify([checkpoint]),
    ]);
    return rows.length === 1 ? 'open' : 'gone';
  }

  private async settle(step: Extract<Step, { do: 'settle' }>): Promise<string> {
    const event = usageEvent(this.account(step.account), step.cost, {
      requestId: this.request(step.request),
      ...(typeof step.escrow === 'number' && { escrowId: this.escrow(step.escrow) }),
      ...(step.swept === true && { swept: true }),
    });
    const [answer] = await this.settleAgain([event]);
    if (answer?.outcome === 'settled') {
      return `settled ${answer.chargedNano} ${answer.absorbedNano} ${answer.reversedNano ?? 0n}`;
    }
    return answer?.outcome === 'quarantined' ? `quarantined ${answer.reason}` : `${answer?.outcome}`;
  }

  /** As billing does it: a batch that lost against somebody else (40001) comes again. */
  private async settleAgain(events: readonly UsageEvent[]): Promise<Settlement[]> {
    for (;;) {
      try {
        return await settleBatch(this.bench.sql, events);
      } catch (error) {
        if (sqlstateOf(error) !== '40001') throw error;
      }
    }
  }

  /** Expiry as time would bring it: only these holds are overdue. What they had delivered is swept. */
  private async expire(ids: readonly string[]): Promise<void> {
    await this.bench.changeReservations(ids, `deadline_at = now() - interval '1 s'`);
    const swept: UsageEvent[] = [];
    for (;;) {
      const expired = await expireHolds(this.bench.sql, 100);
      for (const { amountNano, checkpoint, ...hold } of expired) {
        if (checkpoint === null) continue;
        const event = usageEvent(hold.accountId, BigInt(costOf(checkpoint)), { requestId: hold.requestId });
        swept.push(sweptUsage(event, { ...hold, escrowId: null, totalNano: amountNano, checkpoint }));
      }
      if (expired.length === 0) break;
    }
    await settleBatch(this.bench.sql, swept);
  }

  private adjustment(step: { readonly reference: number; readonly amount: bigint }, payer: number) {
    const refId = this.references[step.reference] ?? uuidv7();
    return { kind: 'adjustment', refId, accountId: this.account(payer), amountNano: step.amount } as const;
  }

  private request(index: number): string {
    return this.requestIds[index] ?? '';
  }

  private account(index: number): string {
    return this.accounts[index] ?? '';
  }

  private escrow(index: number): string {
    return this.escrows[index] ?? '';
  }
}

function costOf(checkpoint: unknown): string {
  // The driver reads jsonb into any; these are the events that `touch` wrote.
  return (checkpoint as UsageEvent).costNano;
}

function toRest(pocket: ModelRest): PocketRest {
  return pocket === null ? null : { spentNano: pocket.spent, heldNano: pocket.held };
}

/** What the model says of a step. */
export function takeInModel(model: LedgerModel, step: Step): string {
  switch (step.do) {
    case 'hold':
      return model.hold(step);
    case 'touch':
      return model.touch(step.request, step.checkpoint);
    case 'close':
      model.close(step.request, step.cost);
      return '';
    case 'settle':
      return model.settle(step);
    case 'expire':
      model.expire(step.requests);
      return '';
    case 'adjust':
      return model.adjust(step.reference, step.account, step.amount);
    case 'suspend':
      model.suspend(step.account, step.isSuspended);
      return '';
    case 'grant':
      return model.grant(step.escrow, accountOfEscrow(step.escrow), step.total);
    case 'wanted':
      return model.wanted(step.account);
    case 'shut':
      return model.shut(step.escrow, step.rest);
    case 'finish':
      model.finish(step.escrows);
      return '';
    case 'adjustWithShut':
      model.shut(step.escrow, step.rest);
      return model.adjust(step.reference, accountOfEscrow(step.escrow), step.amount);
  }
}
