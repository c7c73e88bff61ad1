import type { UsageEvent } from '@tollgate/contracts';
import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import fc from 'fast-check';
import { v7 as uuidv7 } from 'uuid';
import { escrow, grantEscrow } from './escrow.spec-kit.js';
import { shutEscrow } from './escrow-return.js';
import { RealLedger, histories, parallelHistories, takeInModel } from './ledger.history.spec-kit.js';
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

/** A failure is told with its seed before the test's own time is up. */
const IN_TIME = { interruptAfterTimeLimit: 22_000 };

const credits = fc.bigInt({ min: 0n, max: 60n });
const accountIndex = fc.nat({ max: 2 });

interface Request {
  readonly account: number;
  readonly held: bigint;
  readonly cost: bigint;
  readonly closes: boolean;
  /** Which escrow its event names: none, one whose pocket is shut, or the open one. */
  readonly escrow: null | 'shut' | 'open';
  /** Whether it was swept, instead of its true event, before it or after it. */
  readonly swept: 'never' | 'only' | 'before' | 'after';
}

const requests = fc.array(
  fc.record({
    account: accountIndex,
    held: credits,
    cost: credits,
    closes: fc.boolean(),
    escrow: fc.constantFrom(null, 'shut' as const, 'open' as const),
    swept: fc.constantFrom(
      'never' as const,
      'never' as const,
      'only' as const,
      'before' as const,
      'after' as const,
    ),
  }),
  {
    minLength: 1,
    maxLength: 14,
  },
);
const openings = fc.tuple(credits, credits, credits);
const balanceOfSteps = fc.bigInt({ min: 0n, max: 200n });
const balancesOfSteps = fc.tuple(balanceOfSteps, balanceOfSteps, balanceOfSteps);

interface Payer {
  readonly accountId: string;
  readonly escrows: { readonly shut: string; readonly open: string };
}

async function newPayer(balance: bigint): Promise<Payer> {
  const accountId = await bench.newAccount(balance * 2n, balance % 2n === 0n ? 0n : -7n);
  const escrows = { shut: uuidv7(), open: uuidv7() };
  await grantEscrow(bench, { accountId, escrowId: escrows.shut, totalNano: balance / 4n });
  await shutEscrow(bench.sql, escrows.shut, null);
  await grantEscrow(bench, { accountId, escrowId: escrows.open, totalNano: balance / 3n });
  return { accountId, escrows };
}

/** The events of a request, in the order in which they come. */
function eventsOf(event: UsageEvent, { swept, cost }: Request): UsageEvent[] {
  const guess: UsageEvent = { ...event, swept: true, costNano: (cost / 2n).toString() };
  return { never: [event], only: [guess], before: [guess, event], after: [event, guess] }[swept];
}

/** Three accounts with holds and escrows as told, and the events that are to settle, in the order of their ids. */
async function scene(balances: readonly bigint[], told: readonly Request[]) {
  const payers = await Promise.all(balances.map(newPayer));
  const ids = requestIds(told.length);
  const ends = told.map((request, index) => {
    const payer = payers[request.account];
    const escrowId = request.escrow === null ? undefined : payer?.escrows[request.escrow];
    return usageEvent(payer?.accountId ?? '', request.cost, {
      requestId: ids[index] ?? '',
      ...(escrowId !== undefined && { escrowId }),
    });
  });
  await Promise.all(
    ends.map(({ requestId, accountId }, index) =>
      store.hold({ requestId, accountId, totalNano: told[index]?.held ?? 0n, leastNano: 0n }),
    ),
  );
  const closing = ends.filter((_, index) => told[index]?.closes);
  await Promise.all(
    closing.map(({ requestId, accountId, costNano }) => store.close(requestId, accountId, BigInt(costNano))),
  );
  const events = ends.flatMap((event, index) => {
    const request = told[index];
    return request === undefined ? [] : eventsOf(event, request);
  });
  return { payers, events };
}

/** All that settling leaves behind, without ids, which differ from scene to scene. */
async function aftermath(payers: readonly Payer[], settlements: readonly Settlement[]) {
  const accounts = payers.map(({ accountId }) => accountId);
  return {
    settlements: settlements.map(({ outcome, chargedNano, absorbedNano, reversedNano }) => [
      outcome,
      chargedNano,
      absorbedNano,
      reversedNano,
    ]),
    accounts: await Promise.all(accounts.map((id) => bench.account(id))),
    escrows: await Promise.all(
      payers.flatMap(({ escrows }) => [escrow(bench, escrows.shut), escrow(bench, escrows.open)]),
    ),
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

/** A batch in another order; events of one request keep theirs. */
function shuffle(batch: readonly UsageEvent[], keys: Iterator<number>): UsageEvent[] {
  const keyOf = new Map<string, number>();
  for (const { requestId } of batch) keyOf.set(requestId, keyOf.get(requestId) ?? keys.next().value ?? 0);
  return [...batch].sort((a, b) => (keyOf.get(a.requestId) ?? 0) - (keyOf.get(b.requestId) ?? 0));
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
          const answers = new Map<UsageEvent, Settlement>();
          for (const batch of cutAt(batched.events, cuts)) {
            const shuffled = shuffle(batch, keys);
            const settlements = await settleBatch(bench.sql, shuffled);
            for (const [place, event] of shuffled.entries()) {
              const settlement = settlements[place];
              if (settlement !== undefined) answers.set(event, settlement);
            }
          }
          const inOrder = batched.events.flatMap((event) => answers.get(event) ?? []);
          expect(await aftermath(batched.payers, inOrder)).toEqual(await aftermath(oneByOne.payers, single));
        },
      ),
      { numRuns: 60, ...IN_TIME },
    );
    expect(await bench.violations()).toEqual([]);
  });

  it('charges every request in full, in any order, where each hold covers its cost', async () => {
    const covered = requests.map((told) =>
      told.map((request) => ({ ...request, held: request.cost, escrow: null, swept: 'never' as const })),
    );
    await fc.assert(
      fc.asyncProperty(
        covered,
        fc.infiniteStream(fc.nat()),
        fc.integer({ min: 1, max: 5 }),
        async (told, keys, size) => {
          const { payers, events } = await scene([500n, 500n, 500n], told);
          const shuffled = shuffle(events, keys);
          const batches = Array.from({ length: Math.ceil(shuffled.length / size) }, (_, index) =>
            shuffled.slice(index * size, (index + 1) * size),
          );
          const answers = (await Promise.all(batches.map((batch) => settleBatch(bench.sql, batch)))).flat();
          expect(answers.every(({ absorbedNano }) => absorbedNano === 0n)).toBe(true);
          for (const [index, { accountId }] of payers.entries()) {
            const costs = told
              .filter(({ account }) => account === index)
              .reduce((sum, { cost }) => sum + cost, 0n);
            // Of 500, a quarter and a third sit in escrows.
            expect(await bench.account(accountId)).toMatchObject({
              posted: 1_000n - costs,
              held: 125n + 166n,
            });
          }
        },
      ),
      { numRuns: 40 },
    );
    expect(await bench.violations()).toEqual([]);
  });
});

describe('any history of holds, settling, sweeping, escrows and adjustments', () => {
  it('one step after the other, gives what the model says', async () => {
    await fc.assert(
      fc.asyncProperty(balancesOfSteps, histories, async (balances, steps) => {
        const model = new LedgerModel(balances.map((posted) => ({ posted, floor: -10n })));
        const real = new RealLedger(bench, store, balances);
        await real.open();
        for (const step of steps) {
          expect({ step, result: await real.take(step) }).toEqual({ step, result: takeInModel(model, step) });
        }
        for (const [index, row] of (await real.escrowRows()).entries()) {
          expect(row).toBe(model.escrowRow(index));
        }
        for (const [index, id] of real.accounts.entries()) {
          const { posted, seq } = model.accounts[index] ?? { posted: null, seq: null };
          expect(await bench.account(id)).toEqual({ posted, held: model.held(index), floor: -10n, seq });
        }
      }),
      { numRuns: 80, ...IN_TIME },
    );
    expect(await bench.violations()).toEqual([]);
  });

  it('all at once, keeps the books and the floor', async () => {
    await fc.assert(
      fc.asyncProperty(balancesOfSteps, parallelHistories, async (balances, steps) => {
        const real = new RealLedger(bench, store, balances);
        await real.open();
        await Promise.all(steps.map((step) => real.take(step)));
        for (const id of real.accounts) {
          const { posted, held, floor } = await bench.account(id);
          expect(posted - held).toBeGreaterThanOrEqual(floor);
        }
        expect(await bench.violations()).toEqual([]);
      }),
      { numRuns: 60, ...IN_TIME },
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
