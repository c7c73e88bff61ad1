import type { UsageEvent } from '@tollgate/contracts';
import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import fc from 'fast-check';
import { v7 as uuidv7 } from 'uuid';
import { CostCheck } from './cost-check.js';
import {
  discardDeadLetter,
  replayDeadLetter,
  type DiscardResult,
  type ReplayResult,
} from './dead-letters.js';
import { LedgerBench, usageEvent } from './ledger.spec-kit.js';
import { PostgresHoldStore } from './postgres-hold-store.js';
import { quarantineEvent } from './quarantine-event.js';
import { settleBatch } from './settle-batch.js';
import { settleUsage } from './settle-usage.js';
import type { Sql } from './sql.js';
import { sqlstateOf } from './sqlstate.js';

// Real: Postgres, as the application role; connections are cut in the middle. A property that fails prints its seed.

let database: TestDatabase;
let bench: LedgerBench;
let store: PostgresHoldStore;
let priceId: string;

beforeAll(async () => {
  database = await createTestDatabase();
  bench = new LedgerBench(database);
  store = new PostgresHoldStore(bench.app);
  await bench.sql(`INSERT INTO tollgate.model (id) VALUES ('model-of-spec')`);
  priceId = await newPrice(uuidv7());
});

afterAll(async () => {
  await store.shutdown();
  await bench.close();
  await database.drop();
});

afterEach(async () => {
  expect(await bench.violations()).toEqual([]);
});

/** One nano-credit for each unit of input. */
async function newPrice(id: string): Promise<string> {
  await bench.sql(
    `INSERT INTO tollgate.price (id, model, plan, rates, effective_from)
     VALUES ($1, 'model-of-spec', $2, '{"input": "1000"}', now())`,
    [id, id],
  );
  return id;
}

/** An event that costs one nano-credit for each unit. */
function eventOf(accountId: string, cost: number, changes: Partial<UsageEvent> = {}): UsageEvent {
  return usageEvent(accountId, BigInt(cost), { units: { input: cost }, priceId, ...changes });
}

async function inTransaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
  const client = await bench.app.connect();
  const ignore = (): void => undefined;
  client.on('error', ignore);
  let failure: unknown;
  try {
    await client.query('BEGIN');
    const result = await work(async (text, params) => (await client.query(text, params)).rows);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    if (failure === undefined) client.off('error', ignore);
    client.release(failure !== undefined);
  }
}

function replay(id: string): Promise<ReplayResult> {
  return inTransaction((sql) => replayDeadLetter(sql, new CostCheck(), id));
}

function discard(id: string): Promise<DiscardResult> {
  return inTransaction((sql) => discardDeadLetter(sql, id, 'of no use'));
}

/** Puts an event aside as billing does, and answers the id of its dead letter. */
async function quarantine(event: UsageEvent, reason = 'of the spec'): Promise<string> {
  await quarantineEvent(bench.sql, { body: event, reason });
  return (await lettersOf(event.requestId)).at(-1) ?? '';
}

async function lettersOf(requestId: string): Promise<string[]> {
  const rows = await bench.sql('SELECT id FROM tollgate.quarantine WHERE request_id = $1 ORDER BY id', [
    requestId,
  ]);
  return rows.map((row) => String(row['id']));
}

/** The hold of a request, closed at its cost: its usage is due. */
async function closedHold(event: UsageEvent, totalNano: bigint): Promise<void> {
  const { requestId, accountId, costNano } = event;
  expect(await store.hold({ requestId, accountId, totalNano })).toMatchObject({ outcome: 'held' });
  await store.close(requestId, accountId, BigInt(costNano));
}

describe('a replay', () => {
  it('settles what can settle now, out of the hold of its request, once', async () => {
    const accountId = await bench.newAccount(100n);
    const event = eventOf(accountId, 30, { priceId: uuidv7() });
    await closedHold(event, 50n);
    const [quarantined] = await settleUsage(bench.sql, new CostCheck(), [event]);
    expect(quarantined).toMatchObject({ outcome: 'quarantined', reason: 'unknown_price' });
    const [id = ''] = await lettersOf(event.requestId);
    expect(await replay(id)).toEqual({ outcome: 'quarantined', reason: 'unknown_price', isNews: false });
    expect(await bench.account(accountId)).toMatchObject({ posted: 100n, held: 30n });
    await newPrice(event.priceId);
    const moved = { outcome: 'settled', chargedNano: 30n, absorbedNano: 0n };
    expect(await replay(id)).toEqual({ ...moved, isNews: true });
    expect(await replay(id)).toEqual({ ...moved, isNews: false });
    expect(await bench.account(accountId)).toMatchObject({ posted: 70n, held: 0n });
    expect(await bench.transfers(accountId)).toHaveLength(2);
  });

  it('that fails in another way stays open with the new reason, and leaves no second dead letter', async () => {
    const event = eventOf(uuidv7(), 5);
    const id = await quarantine(event, 'unknown_price');
    const failed = { outcome: 'quarantined', reason: 'unknown_account' };
    expect(await replay(id)).toEqual({ ...failed, isNews: true });
    expect(await replay(id)).toEqual({ ...failed, isNews: false });
    expect(await lettersOf(event.requestId)).toEqual([id]);
  });

  it('finds that the usage was settled meanwhile', async () => {
    const accountId = await bench.newAccount(100n);
    const event = eventOf(accountId, 5);
    const id = await quarantine(event);
    await settleBatch(bench.sql, [event]);
    expect(await replay(id)).toEqual({ outcome: 'known', chargedNano: 0n, absorbedNano: 0n, isNews: true });
    expect(await bench.account(accountId)).toMatchObject({ posted: 95n });
  });

  it('never settles other content of a request that is settled, nor what is no event', async () => {
    const accountId = await bench.newAccount(100n);
    const event = eventOf(accountId, 5);
    await settleBatch(bench.sql, [event]);
    const other = await quarantine(eventOf(accountId, 6, { requestId: event.requestId }));
    expect(await replay(other)).toMatchObject({ outcome: 'quarantined', reason: 'other_content' });
    const malformed = await quarantine(
      { ...eventOf(accountId, 7), outcome: 'lost' as never },
      'malformed: x',
    );
    expect(await replay(malformed)).toEqual({
      outcome: 'quarantined',
      reason: 'malformed: x',
      isNews: false,
    });
    expect(await bench.account(accountId)).toMatchObject({ posted: 95n });
  });

  it('goes on in its transaction after a statement that the database refused', async () => {
    const accountId = await bench.newAccount(100n);
    const result = await inTransaction(async (sql) => {
      const refusing: Sql = (text, params) =>
        text.includes('settle_batch') ? sql(`SELECT 'x'::int`) : sql(text, params);
      return replayDeadLetter(refusing, new CostCheck(), await quarantine(eventOf(accountId, 6)));
    });
    expect(result).toEqual({ outcome: 'quarantined', reason: 'sqlstate_22P02', isNews: true });
    expect(await bench.account(accountId)).toMatchObject({ posted: 100n });
  });

  it('knows no id that was never given', async () => {
    expect(await replay('999999999999')).toEqual({ outcome: 'unknown' });
    expect(await discard('999999999999')).toEqual({ outcome: 'unknown' });
  });
});

describe('discarding', () => {
  it('frees what the closing hold keeps, moves nothing, and ends the dead letter', async () => {
    const accountId = await bench.newAccount(100n);
    const event = eventOf(accountId, 30);
    await closedHold(event, 50n);
    const id = await quarantine(event);
    expect(await bench.account(accountId)).toMatchObject({ posted: 100n, held: 30n });
    expect(await discard(id)).toEqual({ outcome: 'discarded', freedNano: 30n });
    expect(await bench.account(accountId)).toMatchObject({ posted: 100n, held: 0n });
    expect(await discard(id)).toEqual({ outcome: 'resolved' });
    expect(await replay(id)).toEqual({ outcome: 'discarded' });
    expect(await bench.account(accountId)).toMatchObject({ posted: 100n, held: 0n });
  });

  it('keeps the hold for another dead letter of the request that may still settle', async () => {
    const accountId = await bench.newAccount(100n);
    const event = eventOf(accountId, 30);
    await closedHold(event, 30n);
    const wrong = await quarantine(eventOf(accountId, 31, { requestId: event.requestId }));
    const right = await quarantine(event);
    expect(await discard(wrong)).toEqual({ outcome: 'discarded', freedNano: 0n });
    expect(await bench.account(accountId)).toMatchObject({ held: 30n });
    expect(await replay(right)).toMatchObject({ outcome: 'settled', chargedNano: 30n });
  });

  it('lets one of two operators who discard both dead letters of a request free its hold', async () => {
    for (let round = 0; round < 10; round += 1) {
      const accountId = await bench.newAccount(100n);
      const event = eventOf(accountId, 30);
      await closedHold(event, 30n);
      const letters = [
        await quarantine(event),
        await quarantine(eventOf(accountId, 31, { requestId: event.requestId })),
      ];
      await Promise.all(letters.map(discard));
      expect(await bench.account(accountId)).toMatchObject({ posted: 100n, held: 0n });
    }
  });

  it('leaves a request alone that still runs', async () => {
    const accountId = await bench.newAccount(100n);
    const event = eventOf(accountId, 30);
    const { requestId } = event;
    await store.hold({ requestId, accountId, totalNano: 50n });
    const id = await quarantine(event);
    expect(await discard(id)).toEqual({ outcome: 'request_runs' });
    await store.close(requestId, accountId, 30n);
    expect(await discard(id)).toEqual({ outcome: 'discarded', freedNano: 30n });
  });

  it('has nothing to free of a request that was settled from another event', async () => {
    const accountId = await bench.newAccount(100n);
    const event = eventOf(accountId, 30);
    await closedHold(event, 30n);
    const id = await quarantine(eventOf(accountId, 31, { requestId: event.requestId }));
    await settleBatch(bench.sql, [event]);
    expect(await discard(id)).toEqual({ outcome: 'discarded', freedNano: 0n });
  });
});

describe('the table of decisions', () => {
  it.each([
    ['a second end', { outcome: 'known' }, 'dead_letter_decision_resolved_once'],
    [
      'amounts of what did not settle',
      { outcome: 'quarantined', reason: 'x', charged: 1 },
      'dead_letter_decision_moves_if_settled',
    ],
    ['amounts below zero', { outcome: 'settled', charged: -1 }, 'dead_letter_decision_amounts_not_negative'],
    ['an open one without a reason', { outcome: 'quarantined' }, 'dead_letter_decision_reason_if_open'],
    ['a discard that no function made', { outcome: 'discarded' }, 'dead_letter_decision_note_if_discarded'],
    ['an unknown end', { outcome: 'lost' }, 'dead_letter_decision_outcome_known'],
  ])('refuses %s', async (_what, decision: Record<string, unknown>, constraint) => {
    const id = await quarantine(eventOf(await bench.newAccount(10n), 1));
    await replay(id);
    const { outcome, reason = null, charged = 0 } = decision;
    const insert = bench.sql(
      `INSERT INTO tollgate.dead_letter_decision (dead_letter_id, outcome, reason, charged) VALUES ($1, $2, $3, $4)`,
      [id, outcome, reason, charged],
    );
    await expect(insert).rejects.toMatchObject({ constraint });
  });

  it.each([
    [
      'free a hold by hand',
      `INSERT INTO tollgate.dead_letter_decision (dead_letter_id, outcome, freed, note) VALUES (1, 'discarded', 1, 'x')`,
    ],
    ['change a decision', `UPDATE tollgate.dead_letter_decision SET charged = 0`],
    ['take a decision back', 'DELETE FROM tollgate.dead_letter_decision'],
  ])('does not let the applications %s', async (_what, statement) => {
    await expect(bench.sql(statement)).rejects.toMatchObject({ code: '42501' });
  });
});

describe('a connection that is cut in the middle of a replay', () => {
  it('leaves nothing behind, and the next replay charges once', async () => {
    const accountId = await bench.newAccount(100n);
    const event = eventOf(accountId, 30);
    await closedHold(event, 50n);
    const id = await quarantine(event);
    const unlock = await bench.lockAccount(accountId);
    let failure: unknown;
    const replaying = replay(id).catch((error: unknown) => (failure = error));
    while (failure === undefined) {
      await bench.owner.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
    }
    await replaying;
    expect(sqlstateOf(failure)).toBe('57P01');
    await unlock();
    expect(await bench.account(accountId)).toMatchObject({ posted: 100n, held: 30n });
    expect(await replay(id)).toMatchObject({ outcome: 'settled', chargedNano: 30n, isNews: true });
    expect(await bench.account(accountId)).toMatchObject({ posted: 70n, held: 0n });
  });

  it('leaves nothing behind after the settling either, before the commit', async () => {
    const accountId = await bench.newAccount(100n);
    const id = await quarantine(eventOf(accountId, 30));
    const replaying = inTransaction(async (sql) => {
      await replayDeadLetter(sql, new CostCheck(), id);
      const [row] = await sql('SELECT pg_backend_pid() AS pid');
      await bench.owner.query('SELECT pg_terminate_backend($1)', [row?.['pid']]);
    });
    await expect(replaying).rejects.toThrow();
    expect(await bench.account(accountId)).toMatchObject({ posted: 100n });
    expect(await replay(id)).toMatchObject({ outcome: 'settled', chargedNano: 30n, isNews: true });
  });
});

describe('any history of dead letters', () => {
  const act = fc.record({
    kind: fc.constantFrom('replay', 'replay', 'discard', 'redeliver'),
    request: fc.nat({ max: 3 }),
    variant: fc.nat({ max: 1 }),
  });

  it('charges each request at most once, whatever is replayed, discarded and delivered at once', async () => {
    const requests = fc.array(
      fc.record({ cost: fc.nat({ max: 40 }), held: fc.nat({ max: 60 }), closes: fc.boolean() }),
      { minLength: 4, maxLength: 4 },
    );
    const history = fc.array(fc.array(act, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 120 }), requests, history, async (balance, told, steps) => {
        const accountId = await bench.newAccount(BigInt(balance));
        const costs = new CostCheck();
        // Two events of each request that differ: whichever settles first is its usage.
        const pairs = told.map(({ cost }) => {
          const event = eventOf(accountId, cost);
          return [event, eventOf(accountId, cost + 1, { requestId: event.requestId })] as const;
        });
        const letters: string[][] = [];
        for (const [index, [event, other]] of pairs.entries()) {
          const { requestId } = event;
          await store.hold({
            requestId,
            accountId,
            totalNano: BigInt(told[index]?.held ?? 0),
            leastNano: 0n,
          });
          if (told[index]?.closes) await store.close(requestId, event.accountId, BigInt(event.costNano));
          letters.push([await quarantine(event), await quarantine(other)]);
        }
        for (const step of steps) {
          await Promise.all(
            step.map(({ kind, request, variant }) => {
              const id = letters[request]?.[variant] ?? '';
              const event = pairs[request]?.[variant];
              if (kind === 'replay') return replay(id);
              if (kind === 'discard') return discard(id);
              return settleUsage(bench.sql, costs, event === undefined ? [] : [event]);
            }),
          );
        }
        for (const [event] of pairs) {
          const rows = await bench.sql(
            `SELECT sum(amount)::int AS moved, (SELECT cost::int FROM tollgate.usage_record WHERE request_id = $1) AS cost
               FROM tollgate.transfer WHERE ref_id = $1 AND kind IN ('usage', 'absorbed')`,
            [event.requestId],
          );
          expect(rows[0]?.['moved'] ?? 0).toBe(rows[0]?.['cost'] ?? 0);
        }
        expect(await bench.violations()).toEqual([]);
      }),
      { numRuns: 15 },
    );
  });
});
