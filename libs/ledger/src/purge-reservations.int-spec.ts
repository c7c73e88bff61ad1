import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { LedgerBench } from './ledger.spec-kit.js';
import { purgeReservations } from './purge-reservations.js';

// Real: Postgres; the owner makes reservations of earlier weeks.

const DAY_MS = 86_400_000;

let database: TestDatabase;
let bench: LedgerBench;
let accountId: string;

beforeAll(async () => {
  database = await createTestDatabase();
  bench = new LedgerBench(database);
  accountId = await bench.newAccount(1_000n);
});

afterEach(async () => {
  await bench.owner.query('DELETE FROM tollgate.reservation');
  await bench.owner.query('UPDATE tollgate.account SET held = 0');
});

afterAll(async () => {
  await bench.close();
  await database.drop();
});

/** A reservation of 10 nano-credits that was made so many days ago, and changed last so many days ago. */
async function reservation(row: {
  madeDaysAgo: number;
  changedDaysAgo?: number;
  state: string;
  kind?: string;
}) {
  const { madeDaysAgo, changedDaysAgo = madeDaysAgo, state, kind = 'request' } = row;
  const id = uuidv7({ msecs: Date.now() - madeDaysAgo * DAY_MS });
  await bench.owner.query(
    `INSERT INTO tollgate.reservation (id, account_id, kind, granted, released, state, changed_at, shut_at)
     VALUES ($1, $2, $3, 10, CASE WHEN $4 = 'closed' THEN 10 ELSE 0 END, $4, now() - $5 * interval '1 day',
       CASE WHEN $3 = 'escrow' AND $4 = 'closed' THEN now() - $5 * interval '1 day' - interval '5 min' END)`,
    [id, accountId, kind, state, changedDaysAgo],
  );
  if (state !== 'closed') await bench.owner.query('UPDATE tollgate.account SET held = held + 10');
  return id;
}

async function left(): Promise<string[]> {
  const { rows } = await bench.owner.query('SELECT id FROM tollgate.reservation');
  return rows.map(({ id }) => id).sort();
}

describe('purging reservations', () => {
  it('deletes what was closed a week ago, and nothing that holds credits or is younger', async () => {
    await reservation({ madeDaysAgo: 8, state: 'closed' });
    await reservation({ madeDaysAgo: 8, state: 'closed', kind: 'escrow' });
    const kept = [
      await reservation({ madeDaysAgo: 6, state: 'closed' }),
      await reservation({ madeDaysAgo: 30, state: 'open' }),
      await reservation({ madeDaysAgo: 30, state: 'closing' }),
      await reservation({ madeDaysAgo: 30, state: 'closing', kind: 'escrow' }),
      await reservation({ madeDaysAgo: 8, changedDaysAgo: 1, state: 'closed', kind: 'escrow' }),
    ];
    expect(await purgeReservations(bench.sql, 100)).toBe(2);
    expect(await left()).toEqual(kept.sort());
    expect(await purgeReservations(bench.sql, 100)).toBe(0);
    expect(await bench.violations()).toEqual([]);
  });

  it('deletes at most so many at a time, the oldest first, however many processes do it', async () => {
    const ids = [];
    for (let age = 20; age > 10; age -= 1) ids.push(await reservation({ madeDaysAgo: age, state: 'closed' }));
    expect(await purgeReservations(bench.sql, 3)).toBe(3);
    expect(await left()).toEqual(ids.slice(3).sort());
    const purged = await Promise.all([1, 2, 3, 4].map(() => purgeReservations(bench.sql, 5)));
    expect(purged.reduce((sum, count) => sum + count, 0)).toBe(7);
    expect(await left()).toEqual([]);
  });

  it.each([0, 100_001, -1])('takes no bound of %d', async (rowsMax) => {
    await expect(purgeReservations(bench.sql, rowsMax)).rejects.toMatchObject({ code: '22023' });
  });
});
