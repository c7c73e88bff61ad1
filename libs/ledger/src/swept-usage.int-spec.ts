import type { UsageEvent } from '@tollgate/contracts';
import { createTestDatabase, eventually, type TestDatabase } from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { CostCheck } from './cost-check.js';
import { expireHolds, type ExpiredHold } from './expire-holds.js';
import { knownRequests } from './known-requests.js';
import { LedgerBench, requestIds, touches, usageEvent } from './ledger.spec-kit.js';
import { PostgresHoldStore } from './postgres-hold-store.js';
import { quarantineEvent } from './quarantine-event.js';
import { settleBatch } from './settle-batch.js';
import { readText } from './sql.js';
import { closeSweptHolds, settleSwept, type OverdueHold, type SweptHold } from './settle-swept.js';

// Real: Postgres, as the application role.

let database: TestDatabase;
let bench: LedgerBench;
let store: PostgresHoldStore;
const priceId = uuidv7();

beforeAll(async () => {
  database = await createTestDatabase();
  bench = new LedgerBench(database);
  store = new PostgresHoldStore(bench.app);
  await bench.sql(`INSERT INTO tollgate.model (id) VALUES ('model-of-spec')`);
  await bench.sql(
    `INSERT INTO tollgate.price (id, model, rates, effective_from)
     VALUES ($1, 'model-of-spec', '{"input": "1000"}', now())`,
    [priceId],
  );
});

afterAll(async () => {
  await store.shutdown();
  await bench.close();
  await database.drop();
});

afterEach(async () => {
  expect(await bench.violations()).toEqual([]);
});

/** An event that costs one nano-credit for each unit of input. */
function eventOf(accountId: string, cost: number, changes: Partial<UsageEvent> = {}): UsageEvent {
  return usageEvent(accountId, BigInt(cost), { units: { input: cost }, priceId, ...changes });
}

function swept(event: UsageEvent): UsageEvent {
  return { ...event, swept: true };
}

/** A request that has delivered `cost` and will not be heard of for a while. */
async function runningRequest(balance: bigint, held: bigint, cost: number | null) {
  const accountId = await bench.newAccount(balance);
  const [requestId = ''] = requestIds(1);
  await store.hold({ requestId, accountId, totalNano: held });
  if (cost !== null) await touchWith(eventOf(accountId, cost, { requestId }));
  return { accountId, requestId };
}

async function touchWith(checkpoint: UsageEvent): Promise<void> {
  const { requestId } = checkpoint;
  await bench.sql('SELECT tollgate.touch_batch($1, 90, NULL, false, $2)', [
    [requestId],
    JSON.stringify([swept(checkpoint)]),
  ]);
}

async function overdue(requestId: string, by = '1 s'): Promise<void> {
  await bench.owner.query(
    'UPDATE tollgate.reservation SET deadline_at = now() - $2::interval WHERE id = $1',
    [requestId, by],
  );
}

function toOverdue({ requestId, accountId, amountNano, checkpoint }: ExpiredHold): OverdueHold {
  return { requestId, accountId, escrowId: null, totalNano: amountNano, checkpoint };
}

async function sweep(queueClearUntil: Date | null = null): Promise<SweptHold[]> {
  const expired = await expireHolds(bench.sql, 100, { queueClearUntil });
  return settleSwept(bench.sql, new CostCheck(), expired.map(toOverdue));
}

async function linesOf(accountId: string): Promise<string[]> {
  const lines = await bench.sql(
    `SELECT format('%s %s %s', kind, amount, balance_after) AS line FROM tollgate.transfer
      WHERE account_id = $1 ORDER BY account_seq`,
    [accountId],
  );
  return lines.map((row) => readText(row, 'line'));
}

describe('swept and true usage', () => {
  it('true usage after swept usage reverses the swept transfer and settles the true cost', async () => {
    const { accountId, requestId } = await runningRequest(1_000n, 400n, 20);
    await overdue(requestId);
    expect(await sweep()).toMatchObject([
      { settlement: { outcome: 'settled', chargedNano: 20n }, costNano: 20n },
    ]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 980n, held: 0n });
    const [settled] = await settleBatch(bench.sql, [eventOf(accountId, 300, { requestId })]);
    expect(settled).toMatchObject({ outcome: 'settled', chargedNano: 300n, reversedNano: 20n });
    expect(await linesOf(accountId)).toEqual([
      'top_up 1000 1000',
      'swept 20 980',
      'reversal 20 1000',
      'usage 300 700',
    ]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 700n, held: 0n, seq: 4n });
  });

  it('true usage of the same cost as was swept still stands in the books', async () => {
    const { accountId, requestId } = await runningRequest(100n, 40n, 20);
    await overdue(requestId);
    await sweep();
    await settleBatch(bench.sql, [eventOf(accountId, 20, { requestId })]);
    expect(await linesOf(accountId)).toEqual([
      'top_up 100 100',
      'swept 20 80',
      'reversal 20 100',
      'usage 20 80',
    ]);
    expect(await bench.account(accountId)).toEqual({ posted: 80n, held: 0n, floor: 0n, seq: 4n });
  });

  it('free true usage gives back all that was swept', async () => {
    const { accountId, requestId } = await runningRequest(100n, 40n, 20);
    await overdue(requestId);
    await sweep();
    const free = eventOf(accountId, 0, { requestId, outcome: 'upstream_failed', usageSource: 'none' });
    expect(await settleBatch(bench.sql, [free])).toMatchObject([{ chargedNano: 0n, reversedNano: 20n }]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 100n });
  });

  it('swept usage after true usage changes nothing', async () => {
    const accountId = await bench.newAccount(1_000n);
    const event = eventOf(accountId, 300);
    await settleBatch(bench.sql, [event]);
    const before = await bench.account(accountId);
    expect(await settleBatch(bench.sql, [swept(event), swept({ ...event, costNano: '7' })])).toMatchObject([
      { outcome: 'known', chargedNano: 0n },
      { outcome: 'known', chargedNano: 0n },
    ]);
    expect(await bench.account(accountId)).toEqual(before);
  });

  it('swept usage comes a second time and changes nothing', async () => {
    const accountId = await bench.newAccount(1_000n);
    const event = eventOf(accountId, 300);
    await settleBatch(bench.sql, [swept(event)]);
    expect(await settleBatch(bench.sql, [swept({ ...event, costNano: '7' })])).toMatchObject([
      { outcome: 'known' },
    ]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 700n });
  });

  it('both in one batch settle like one after the other, in the order given', async () => {
    const [first, second] = [await bench.newAccount(100n), await bench.newAccount(100n)];
    const [one, two] = [eventOf(first, 30), eventOf(second, 30)];
    const settled = await settleBatch(bench.sql, [swept({ ...one, costNano: '20' }), one, two, swept(two)]);
    expect(settled).toMatchObject([
      { outcome: 'settled', chargedNano: 20n },
      { outcome: 'settled', chargedNano: 30n, reversedNano: 20n },
      { outcome: 'settled', chargedNano: 30n },
      { outcome: 'known' },
    ]);
    expect(await linesOf(first)).toEqual(['top_up 100 100', 'swept 20 80', 'reversal 20 100', 'usage 30 70']);
    expect(await linesOf(second)).toEqual(['top_up 100 100', 'usage 30 70']);
  });

  it('a frozen gateway that wakes after the sweep ends its stream and its event wins', async () => {
    const { accountId, requestId } = await runningRequest(1_000n, 400n, 20);
    await overdue(requestId);
    await sweep();
    expect((await store.touch(touches(accountId, [requestId]))).get(requestId)).toBe('gone');
    expect(await store.hold({ requestId, accountId, totalNano: 500n })).toEqual({ outcome: 'settled' });
    expect(await settleBatch(bench.sql, [eventOf(accountId, 300, { requestId })])).toMatchObject([
      { outcome: 'settled', chargedNano: 300n },
    ]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 700n, held: 0n });
  });

  it('events still queued after a ten-minute Postgres outage are not swept first', async () => {
    const { accountId, requestId } = await runningRequest(1_000n, 400n, 20);
    const orphan = await runningRequest(100n, 50n, null);
    await overdue(requestId, '10 min');
    await overdue(orphan.requestId, '10 min');
    const oldestJobAt = new Date(Date.now() - 660_000);
    expect(await sweep(oldestJobAt)).toEqual([]);
    await settleBatch(bench.sql, [eventOf(accountId, 300, { requestId })]);
    expect(await sweep(new Date())).toMatchObject([
      { hold: { requestId: orphan.requestId }, settlement: null },
    ]);
    expect(await linesOf(accountId)).toEqual(['top_up 1000 1000', 'usage 300 700']);
  });

  it('a hold without a checkpoint expires free', async () => {
    const { accountId, requestId } = await runningRequest(100n, 40n, null);
    await overdue(requestId);
    expect(await sweep()).toMatchObject([{ settlement: null, costNano: 0n }]);
    expect(await bench.account(accountId)).toEqual({ posted: 100n, held: 0n, floor: 0n, seq: 1n });
  });

  it('a hold whose reply was lost costs nothing', async () => {
    const { accountId, requestId } = await runningRequest(100n, 40n, null);
    await store.hold({ requestId, accountId, totalNano: 40n });
    await overdue(requestId);
    await sweep();
    expect(await linesOf(accountId)).toEqual(['top_up 100 100']);
    expect(await bench.account(accountId)).toMatchObject({ held: 0n });
  });

  it('swept cost never exceeds the hold and is never absorbed', async () => {
    const { accountId, requestId } = await runningRequest(100n, 40n, 70);
    await overdue(requestId);
    expect(await sweep()).toMatchObject([
      { settlement: { chargedNano: 40n, absorbedNano: 0n }, costNano: 40n },
    ]);
    const direct = await runningRequest(100n, 40n, null);
    const answers = await settleBatch(bench.sql, [swept(eventOf(direct.accountId, 70, direct))]);
    expect(answers).toMatchObject([{ chargedNano: 40n, absorbedNano: 0n }]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 60n, held: 0n });
    const poor = await bench.newAccount(10n);
    const beyond = await settleBatch(bench.sql, [swept(eventOf(poor, 70))]);
    expect(beyond).toMatchObject([{ outcome: 'settled', chargedNano: 10n, absorbedNano: 0n }]);
    const costs = await bench.sql(
      'SELECT cost FROM tollgate.usage_record WHERE swept AND account_id = ANY ($1)',
      [[accountId, direct.accountId, poor]],
    );
    expect(costs.map(({ cost }) => cost).sort()).toEqual(['10', '40', '40']);
  });

  it('a second true event with other content is quarantined and the first stands', async () => {
    const { accountId, requestId } = await runningRequest(1_000n, 400n, 20);
    await overdue(requestId);
    await sweep();
    await settleBatch(bench.sql, [eventOf(accountId, 300, { requestId })]);
    const other = eventOf(accountId, 310, { requestId });
    expect(await settleBatch(bench.sql, [other])).toMatchObject([
      { outcome: 'quarantined', reason: 'other_content' },
    ]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 700n });
  });

  it('true usage under another account than what was swept is quarantined', async () => {
    const [payer, other] = [await bench.newAccount(100n), await bench.newAccount(100n)];
    const [known, together] = [eventOf(payer, 30), eventOf(payer, 30)];
    await settleBatch(bench.sql, [swept(known)]);
    const answers = await settleBatch(bench.sql, [
      { ...known, accountId: other },
      swept(together),
      { ...together, accountId: other },
    ]);
    expect(answers).toMatchObject([
      { outcome: 'quarantined', reason: 'request_of_another_account' },
      { outcome: 'settled' },
      { outcome: 'quarantined', reason: 'request_of_another_account' },
    ]);
    expect(await bench.account(other)).toMatchObject({ posted: 100n });
  });
});

describe('a true record that is in, and waits for its account', () => {
  /** Settles while somebody keeps the account, does the rest meanwhile, and gives the account free. */
  async function settleBehindLock(event: UsageEvent, meanwhile: () => Promise<unknown>) {
    const unlock = await bench.lockAccount(event.accountId);
    const settling = settleBatch(bench.sql, [event]).catch((error: unknown) => error);
    await eventually(async () => expect(await waitingForLocks()).toBe(1));
    let isDone = false;
    const other = meanwhile().finally(() => (isDone = true));
    // It is through, or it waits for the same account.
    await eventually(async () => expect(isDone || (await waitingForLocks()) > 1).toBe(true), 20_000, 10);
    await unlock();
    await other;
    return settling;
  }

  async function waitingForLocks(): Promise<number> {
    const rows = await bench.owner.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return rows.rows.length;
  }

  it('is the one that counts, whether a sweep of its request gets the account before it or after', async () => {
    const { accountId, requestId } = await runningRequest(100n, 40n, 20);
    const event = eventOf(accountId, 30, { requestId });
    const sweep = swept({ ...event, costNano: '20', units: { input: 20 } });
    const settled = await settleBehindLock(event, () => settleBatch(bench.sql, [sweep]));
    expect(settled).toMatchObject([{ outcome: 'settled', chargedNano: 30n }]);
    const early = eventOf(accountId, 10);
    const unlock = await bench.lockAccount(accountId);
    const both = [
      settleBatch(bench.sql, [swept(early)]),
      settleBatch(bench.sql, [{ ...early, costNano: '15', units: { input: 15 } }]),
    ];
    await eventually(async () => expect(await waitingForLocks()).toBe(2));
    await unlock();
    await Promise.all(both);
    expect(await bench.account(accountId)).toMatchObject({ posted: 55n, held: 0n });
  });

  it('ends a hold of its request that was placed before it got the account', async () => {
    const accountId = await bench.newAccount(100n);
    const event = eventOf(accountId, 30);
    const { requestId } = event;
    const settled = await settleBehindLock(event, () => store.hold({ requestId, accountId, totalNano: 40n }));
    expect(settled).toMatchObject([{ outcome: 'settled', chargedNano: 30n }]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 70n, held: 0n });
  });

  it('goes, with its batch, if its request was swept from another account meanwhile; the next time it is quarantined', async () => {
    const [payer, other] = [await bench.newAccount(100n), await bench.newAccount(100n)];
    const event = eventOf(other, 30);
    const settled = await settleBehindLock(event, () =>
      settleBatch(bench.sql, [swept({ ...event, accountId: payer })]),
    );
    expect(settled).toMatchObject({ code: '40001' });
    expect(await settleBatch(bench.sql, [event])).toMatchObject([
      { outcome: 'quarantined', reason: 'request_of_another_account' },
    ]);
    expect(await bench.account(other)).toMatchObject({ posted: 100n });
    expect(await bench.account(payer)).toMatchObject({ posted: 70n });
  });

  it('goes, with its batch, if its request was held by another account meanwhile; the next time it is quarantined', async () => {
    const [holder, other] = [await bench.newAccount(100n), await bench.newAccount(100n)];
    // What the other account holds would pay for the mistake.
    await store.hold({ requestId: uuidv7(), accountId: other, totalNano: 60n });
    const event = eventOf(other, 30);
    const { requestId } = event;
    const settled = await settleBehindLock(event, () =>
      store.hold({ requestId, accountId: holder, totalNano: 40n }),
    );
    expect(settled).toMatchObject({ code: '40001' });
    expect(await settleBatch(bench.sql, [event])).toMatchObject([
      { outcome: 'quarantined', reason: 'request_of_another_account' },
    ]);
    expect(await bench.account(other)).toMatchObject({ posted: 100n, held: 60n });
    expect(await bench.account(holder)).toMatchObject({ posted: 100n, held: 40n });
  });
});

describe('a checkpoint', () => {
  it('is kept until the next one, and is lent for a minute to whoever asks for expired holds', async () => {
    const { accountId, requestId } = await runningRequest(100n, 40n, 20);
    await store.touch(touches(accountId, [requestId]));
    await overdue(requestId);
    const [lent] = await expireHolds(bench.sql, 100);
    expect(lent).toMatchObject({ requestId, amountNano: 40n, checkpoint: { costNano: '20', swept: true } });
    expect(await expireHolds(bench.sql, 100)).toEqual([]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 100n, held: 40n });
    await touchWith(eventOf(accountId, 30, { requestId }));
    await overdue(requestId);
    expect(await sweep()).toMatchObject([{ settlement: { chargedNano: 30n } }]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 70n, held: 0n });
  });

  it.each([
    ['cannot be read', { costNano: 5 }, 'malformed_checkpoint'],
    ['is of another request', { requestId: uuidv7() }, 'malformed_checkpoint'],
    ['costs more than its units', { costNano: '21' }, 'cost_mismatch'],
    ['has a price that nobody knows', { priceId: uuidv7() }, 'unknown_price'],
  ])('that %s is in quarantine, and the true event is not taken for known', async (_, changes, reason) => {
    const accountId = await bench.newAccount(100n);
    const event = eventOf(accountId, 20);
    const { requestId } = event;
    const hold = {
      requestId,
      accountId,
      escrowId: null,
      totalNano: 40n,
      checkpoint: swept({ ...event, ...changes } as UsageEvent),
    };
    const good = eventOf(accountId, 3);
    const results = await settleSwept(bench.sql, new CostCheck(), [
      hold,
      { ...hold, requestId: good.requestId, checkpoint: good },
    ]);
    const byRequest = new Map(results.map((result) => [result.hold.requestId, result.settlement]));
    expect(byRequest.get(requestId)).toMatchObject({ outcome: 'quarantined', reason });
    expect(byRequest.get(good.requestId)).toMatchObject({ outcome: 'settled', chargedNano: 3n });
    expect(await knownRequests(bench.sql, [requestId])).toEqual(new Set());
  });

  it('of a request that is in the books closes its hold with what it cost there', async () => {
    const accountId = await bench.newAccount(100n);
    const event = eventOf(accountId, 30);
    await settleBatch(bench.sql, [event]);
    const { requestId } = event;
    const hold = {
      requestId,
      accountId,
      escrowId: null,
      totalNano: 40n,
      checkpoint: swept({ ...event, costNano: '20' }),
    };
    expect(await settleSwept(bench.sql, new CostCheck(), [hold])).toMatchObject([
      { settlement: { outcome: 'known' }, costNano: 30n },
    ]);
  });
});

describe('closeSweptHolds', () => {
  it('leaves the money of a checkpoint in quarantine set aside, for whoever decides', async () => {
    const { accountId, requestId } = await runningRequest(100n, 40n, null);
    await touchWith(eventOf(accountId, 20, { requestId, priceId: uuidv7() }));
    await overdue(requestId);
    const results = await sweep();
    expect(results).toMatchObject([{ settlement: { outcome: 'quarantined' }, costNano: 40n }]);
    await closeSweptHolds(bench.sql, results);
    await overdue(requestId);
    expect(await sweep()).toEqual([]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 100n, held: 40n });
    await settleBatch(bench.sql, [eventOf(accountId, 25, { requestId })]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 75n, held: 0n });
  });
});

describe('knownRequests', () => {
  it('knows true usage and what is in quarantine, but not what was only swept', async () => {
    const accountId = await bench.newAccount(100n);
    const [settled, guessed, both, aside, sweptAside, unheard] = [1, 2, 3, 4, 5, 6].map((cost) =>
      eventOf(accountId, cost),
    );
    if (!settled || !guessed || !both || !aside || !sweptAside || !unheard) throw new Error('six events');
    await settleBatch(bench.sql, [settled, swept(guessed), swept(both)]);
    await settleBatch(bench.sql, [both]);
    await quarantineEvent(bench.sql, { body: aside, reason: 'of the spec' });
    await quarantineEvent(bench.sql, { body: swept(sweptAside), reason: 'of the spec' });
    const ids = [settled, guessed, both, aside, sweptAside, unheard].map(({ requestId }) => requestId);
    expect(await knownRequests(bench.sql, ids)).toEqual(
      new Set([settled.requestId, both.requestId, aside.requestId]),
    );
    expect(await knownRequests(bench.sql, [])).toEqual(new Set());
  });
});
