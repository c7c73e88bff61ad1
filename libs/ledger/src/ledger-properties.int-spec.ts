import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import fc from 'fast-check';
import { v7 as uuidv7 } from 'uuid';
import { adjust } from './adjust.js';
import { expireHolds } from './expire-holds.js';
import { LedgerModel } from './ledger.model.spec-kit.js';
import { LedgerBench, requestIds, usageEvent } from './ledger.spec-kit.js';
import { PostgresHoldStore } from './postgres-hold-store.js';
import { settleBatch, type Settlement } from './settle-batch.js';

// Real: Postgres, as the application role. A property that fails prints its seed and the smallest history that fails.

let database: TestDatabase;
let bench: LedgerBench;
let store: PostgresHoldStore;

beforeAll(async () => {
  database = await createTestDatabase();
  bench = new LedgerBench(database);
  store = new PostgresHoldStore(bench.app);
});

afterAll(async () => {
  await store.shutdown();
  await bench.close();
  await database.drop();
});

const credits = fc.bigInt({ min: 0n, max: 60n });
const accountIndex = fc.nat({ max: 2 });
const requestIndex = fc.nat({ max: 9 });

interface Request {
  readonly account: number;
  readonly held: bigint;
  readonly cost: bigint;
  readonly closes: boolean;
}

const requests = fc.array(
  fc.record({ account: accountIndex, held: credits, cost: credits, closes: fc.boolean() }),
  {
    minLength: 1,
    maxLength: 14,
  },
);
const openings = fc.tuple(credits, credits, credits);

/** Three accounts with holds as told, and the events that are to settle, in the order of their ids. */
async function scene(balances: readonly bigint[], told: readonly Request[]) {
  const accounts = await Promise.all(
    balances.map((balance) => bench.newAccount(balance * 2n, balance % 2n === 0n ? 0n : -7n)),
  );
  const ids = requestIds(told.length);
  const events = told.map(({ account, cost }, index) =>
    usageEvent(accounts[account] ?? '', cost, { requestId: ids[index] ?? '' }),
  );
  await Promise.all(
    events.map(({ requestId, accountId }, index) =>
      store.hold({ requestId, accountId, totalNano: told[index]?.held ?? 0n, leastNano: 0n }),
    ),
  );
  const closing = events.filter((_, index) => told[index]?.closes);
  await Promise.all(closing.map(({ requestId, costNano }) => store.close(requestId, BigInt(costNano))));
  return { accounts, events };
}

/** All that settling leaves behind, without ids, which differ from scene to scene. */
async function aftermath(accounts: readonly string[], settlements: readonly Settlement[]) {
  return {
    settlements: settlements.map(({ outcome, chargedNano, absorbedNano }) => [
      outcome,
      chargedNano,
      absorbedNano,
    ]),
    accounts: await Promise.all(accounts.map((id) => bench.account(id))),
    transfers: await Promise.all(
      accounts.map(async (id) =>
        (await bench.transfers(id)).map((row) => [
          row['kind'],
          row['amount'],
          row['account_seq'],
          row['balance_after'],
        ]),
      ),
    ),
  };
}

function cutAt<T>(items: readonly T[], cuts: readonly number[]): T[][] {
  const edges = [...new Set([0, ...cuts.map((cut) => cut % items.length), items.length])].sort(
    (a, b) => a - b,
  );
  return edges.slice(1).map((edge, index) => items.slice(edges[index], edge));
}

describe('settling in batches', () => {
  it('does what settling one by one does, in any split and any order within a batch', async () => {
    await fc.assert(
      fc.asyncProperty(
        openings,
        requests,
        fc.array(fc.nat()),
        fc.infiniteStream(fc.nat()),
        async (balances, told, cuts, keys) => {
          const oneByOne = await scene(balances, told);
          const single: Settlement[] = [];
          for (const event of oneByOne.events) single.push(...(await settleBatch(bench.sql, [event])));

          const batched = await scene(balances, told);
          const answers = new Map<string, Settlement>();
          for (const batch of cutAt(batched.events, cuts)) {
            const shuffled = batch
              .map((event) => ({ event, key: keys.next().value }))
              .sort((a, b) => a.key - b.key);
            for (const answer of await settleBatch(
              bench.sql,
              shuffled.map(({ event }) => event),
            )) {
              answers.set(answer.requestId, answer);
            }
          }
          const inOrder = batched.events.flatMap(({ requestId }) => answers.get(requestId) ?? []);
          expect(await aftermath(batched.accounts, inOrder)).toEqual(
            await aftermath(oneByOne.accounts, single),
          );
        },
      ),
      { numRuns: 60 },
    );
    expect(await bench.violations()).toEqual([]);
  });

  it('charges every request in full, in any order, where each hold covers its cost', async () => {
    const covered = requests.map((told) => told.map((request) => ({ ...request, held: request.cost })));
    await fc.assert(
      fc.asyncProperty(
        covered,
        fc.infiniteStream(fc.nat()),
        fc.integer({ min: 1, max: 5 }),
        async (told, keys, size) => {
          const { accounts, events } = await scene([500n, 500n, 500n], told);
          const shuffled = events
            .map((event) => ({ event, key: keys.next().value }))
            .sort((a, b) => a.key - b.key);
          const batches = Array.from({ length: Math.ceil(shuffled.length / size) }, (_, index) =>
            shuffled.slice(index * size, (index + 1) * size).map(({ event }) => event),
          );
          const answers = (await Promise.all(batches.map((batch) => settleBatch(bench.sql, batch)))).flat();
          expect(answers.every(({ absorbedNano }) => absorbedNano === 0n)).toBe(true);
          for (const [index, id] of accounts.entries()) {
            const costs = told
              .filter(({ account }) => account === index)
              .reduce((sum, { cost }) => sum + cost, 0n);
            expect(await bench.account(id)).toMatchObject({ posted: 1_000n - costs, held: 0n });
          }
        },
      ),
      { numRuns: 40 },
    );
    expect(await bench.violations()).toEqual([]);
  });
});

type Step =
  | {
      readonly do: 'hold';
      readonly request: number;
      readonly account: number;
      readonly total: bigint;
      readonly least: bigint;
    }
  | { readonly do: 'touch'; readonly request: number }
  | { readonly do: 'close'; readonly request: number; readonly cost: bigint }
  | { readonly do: 'settle'; readonly request: number; readonly account: number; readonly cost: bigint }
  | { readonly do: 'expire'; readonly requests: readonly number[] }
  | { readonly do: 'adjust'; readonly reference: number; readonly account: number; readonly amount: bigint };

/** Most requests keep to one account; some come under another one, as a fault of ours would make them. */
const accountOf = (request: number, stray: number): number => (stray === 0 ? request + 1 : request) % 3;
const stray = fc.nat({ max: 9 });

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(requestIndex, stray, credits, credits).map(([request, other, total, least]): Step => ({
    do: 'hold',
    request,
    account: accountOf(request, other),
    total,
    least,
  })),
  fc.record({ do: fc.constant('touch' as const), request: requestIndex }),
  fc.record({ do: fc.constant('close' as const), request: requestIndex, cost: credits }),
  fc.tuple(requestIndex, stray, fc.constantFrom(0n, 7n, 30n, 90n)).map(([request, other, cost]): Step => ({
    do: 'settle',
    request,
    account: accountOf(request, other),
    cost,
  })),
  fc.record({ do: fc.constant('expire' as const), requests: fc.subarray([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) }),
  fc.record({
    do: fc.constant('adjust' as const),
    reference: fc.nat({ max: 4 }),
    account: accountIndex,
    amount: fc.bigInt({ min: -80n, max: 80n }),
  }),
);
const history = fc.array(step, { minLength: 1, maxLength: 40 });

/** The real ledger, taking the model's steps. */
class RealLedger {
  readonly accounts: string[] = [];
  private readonly requestIds = requestIds(10);
  private readonly references = requestIds(5);

  constructor(private readonly openings: readonly bigint[]) {}

  async open(): Promise<void> {
    for (const opening of this.openings) this.accounts.push(await bench.newAccount(opening, -10n));
  }

  async take(step: Step): Promise<string> {
    switch (step.do) {
      case 'hold': {
        const result = await store.hold({
          requestId: this.request(step.request),
          accountId: this.account(step.account),
          totalNano: step.total,
          leastNano: step.least,
        });
        if (result.outcome === 'held') return `held ${result.grantedNano}`;
        return result.outcome === 'refused' ? `refused ${result.availableNano}` : result.outcome;
      }
      case 'touch':
        return (await store.touch([this.request(step.request)])).size === 1 ? 'open' : 'gone';
      case 'close':
        await store.close(this.request(step.request), step.cost);
        return '';
      case 'settle':
        return this.settle(step);
      case 'expire':
        await this.expire(step.requests.map((request) => this.request(request)));
        return '';
      case 'adjust': {
        const refId = this.references[step.reference] ?? '';
        const accountId = this.account(step.account);
        return (await adjust(bench.sql, { kind: 'adjustment', refId, accountId, amountNano: step.amount }))
          .outcome;
      }
    }
  }

  private async settle(step: Extract<Step, { do: 'settle' }>): Promise<string> {
    const event = usageEvent(this.account(step.account), step.cost, {
      requestId: this.request(step.request),
    });
    const [answer] = await settleBatch(bench.sql, [event]);
    if (answer?.outcome === 'settled') return `settled ${answer.chargedNano} ${answer.absorbedNano}`;
    return answer?.outcome === 'quarantined' ? `quarantined ${answer.reason}` : `${answer?.outcome}`;
  }

  /** Expiry as time would bring it: only these holds are overdue. */
  private async expire(ids: readonly string[]): Promise<void> {
    await bench.owner.query(
      `UPDATE tollgate.reservation SET deadline_at = now() - interval '1 s' WHERE id = ANY ($1)`,
      [ids],
    );
    while ((await expireHolds(bench.sql, 100)).length > 0);
  }

  private request(index: number): string {
    return this.requestIds[index] ?? '';
  }

  private account(index: number): string {
    return this.accounts[index] ?? '';
  }
}

function takeInModel(model: LedgerModel, step: Step): string {
  switch (step.do) {
    case 'hold':
      return model.hold(step);
    case 'touch':
      return model.touch(step.request);
    case 'close':
      model.close(step.request, step.cost);
      return '';
    case 'settle':
      return model.settle(step.request, step.account, step.cost);
    case 'expire':
      model.expire(step.requests);
      return '';
    case 'adjust':
      return model.adjust(step.reference, step.account, step.amount);
  }
}

describe('any history of hold, extend, touch, close, settle, expire and adjust', () => {
  it('one step after the other, gives what the model says', async () => {
    await fc.assert(
      fc.asyncProperty(openings, history, async (balances, steps) => {
        const model = new LedgerModel(balances.map((posted) => ({ posted, floor: -10n })));
        const real = new RealLedger(balances);
        await real.open();
        for (const step of steps) {
          expect({ step, result: await real.take(step) }).toEqual({ step, result: takeInModel(model, step) });
        }
        for (const [index, id] of real.accounts.entries()) {
          const { posted, seq } = model.accounts[index] ?? { posted: null, seq: null };
          expect(await bench.account(id)).toEqual({ posted, held: model.held(index), floor: -10n, seq });
        }
      }),
      { numRuns: 60 },
    );
    expect(await bench.violations()).toEqual([]);
  });

  it('all at once, keeps the books and the floor', async () => {
    await fc.assert(
      fc.asyncProperty(openings, history, async (balances, steps) => {
        const real = new RealLedger(balances);
        await real.open();
        await Promise.all(steps.map((step) => real.take(step)));
        for (const id of real.accounts) {
          const { posted, held, floor } = await bench.account(id);
          expect(posted - held).toBeGreaterThanOrEqual(floor);
        }
        expect(await bench.violations()).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

describe('a long queue of requests on a small balance', () => {
  it('never spends more than there is, and refuses nobody while there is enough', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.bigInt({ min: 1n, max: 400n }),
        fc.array(credits, { minLength: 30, maxLength: 80 }),
        async (balance, totals) => {
          const accountId = await bench.newAccount(balance);
          const results = await Promise.all(
            totals.map((totalNano) => store.hold({ requestId: uuidv7(), accountId, totalNano })),
          );
          const { held } = await bench.account(accountId);
          const left = balance - held;
          expect(left).toBeGreaterThanOrEqual(0n);
          for (const [index, result] of results.entries()) {
            if (result.outcome === 'refused') expect(totals[index]).toBeGreaterThan(left);
          }
        },
      ),
      { numRuns: 30 },
    );
  });
});
