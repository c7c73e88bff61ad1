import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { LedgerBench, usageEvent } from './ledger.spec-kit.js';
import { settleBatch } from './settle-batch.js';

// Real: Postgres, as the application role; the owner drops and attaches months.

let database: TestDatabase;
let bench: LedgerBench;

beforeAll(async () => {
  database = await createTestDatabase();
  bench = new LedgerBench(database);
});

afterAll(async () => {
  await bench.close();
  await database.drop();
});

/** A moment so many months from now, in the middle of the month, in UTC milliseconds. */
function middleOf(monthsAhead: number): number {
  const now = new Date();
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + monthsAhead, 15);
}

/** The first moment of a month, as a month is made. */
function startOf(monthsAhead: number): Date {
  const middle = new Date(middleOf(monthsAhead));
  return new Date(Date.UTC(middle.getUTCFullYear(), middle.getUTCMonth()));
}

/** The records of a request, with the month that has them. */
async function records(requestId: string): Promise<unknown[]> {
  const { rows } = await bench.owner.query(
    `SELECT c.relname AS month, u.cost FROM tollgate.usage_record u JOIN pg_class c ON c.oid = u.tableoid
      WHERE u.request_id = $1`,
    [requestId],
  );
  return rows;
}

describe('requests and the months that keep them', () => {
  it('usage_record: the same request in two months is impossible', async () => {
    const accountId = await bench.newAccount(1_000n);
    const event = usageEvent(accountId, 10n, { requestId: uuidv7({ msecs: middleOf(-1) }) });
    expect(await settleBatch(bench.sql, [event])).toMatchObject([{ outcome: 'settled' }]);
    const [record] = await records(event.requestId);
    // Whatever an event says of its time, and whatever month is made meanwhile, the id alone decides where it is looked for.
    const again = { ...event, finishedAt: new Date(middleOf(0)).toISOString() };
    expect(await settleBatch(bench.sql, [again])).toMatchObject([
      { outcome: 'quarantined', reason: 'other_content' },
    ]);
    await bench.owner.query('SELECT tollgate.create_usage_month($1)', [startOf(-1)]);
    expect(await settleBatch(bench.sql, [event])).toMatchObject([{ outcome: 'known' }]);
    expect(await records(event.requestId)).toHaveLength(1);
    expect(record).toMatchObject({ cost: '10' });
    // Not even the owner can put it into another month.
    const months = await bench.owner.query<{ name: string }>(
      `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'tollgate.usage_record'::regclass`,
    );
    expect(months.rows.length).toBeGreaterThan(3);
    for (const { name } of months.rows) {
      await expect(
        bench.owner.query(
          `INSERT INTO tollgate.${name} SELECT * FROM tollgate.usage_record WHERE request_id = $1`,
          [event.requestId],
        ),
      ).rejects.toMatchObject({ code: expect.stringMatching(/^23(505|514)$/) });
    }
    expect(await bench.account(accountId)).toMatchObject({ posted: 990n, held: 0n });
  });

  it('an id of a dropped month or of next year goes to quarantine', async () => {
    const accountId = await bench.newAccount(1_000n);
    const outside = [-14, -24, 12, 18].map((months) =>
      usageEvent(accountId, 10n, { requestId: uuidv7({ msecs: middleOf(months) }) }),
    );
    const kept = [-11, 0].map((months) =>
      usageEvent(accountId, 10n, { requestId: uuidv7({ msecs: Math.min(middleOf(months), Date.now()) }) }),
    );
    const settlements = await settleBatch(bench.sql, [...outside, ...kept]);
    expect(settlements.map(({ outcome, reason }) => [outcome, reason])).toEqual([
      ...outside.map(() => ['quarantined', 'outside_kept_months']),
      ...kept.map(() => ['settled', null]),
    ]);
    for (const { requestId } of outside) expect(await records(requestId)).toEqual([]);
    // The queue may bring them as often as it likes: money never moves for them.
    for (const { outcome } of await settleBatch(bench.sql, [...outside, ...kept])) {
      expect(outcome).not.toBe('settled');
    }
    expect(await bench.account(accountId)).toMatchObject({ posted: 980n, held: 0n });
    expect(await bench.violations()).toEqual([]);
  });
});
