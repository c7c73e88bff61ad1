import { createTestDatabase, eventually, type TestDatabase } from '@tollgate/testing';
import { closeDays, listClosedDays, verifyDay, type ClosedDay } from './day-close.js';
import { LedgerBench, usageEvent } from './ledger.spec-kit.js';
import { settleBatch } from './settle-batch.js';

// Real: Postgres. What happened on earlier days is moved there by the owner, who also forges.

const PATIENT = { patienceSeconds: 600, daysMax: 31 };

let database: TestDatabase;
let bench: LedgerBench;
let accountId: string;

beforeEach(async () => {
  database = await createTestDatabase();
  bench = new LedgerBench(database);
  accountId = await bench.newAccount(0n);
});

afterEach(async () => {
  await bench.close();
  await database.drop();
});

/** The day so many days before today, in UTC. */
function daysAgo(count: number): string {
  return new Date(Date.now() - count * 86_400_000).toISOString().slice(0, 10);
}

/** Moves every transfer that is of no earlier day to noon of a day. */
async function moveTo(day: string): Promise<void> {
  await bench.owner.query(
    `UPDATE tollgate.transfer SET created_at = ($1 || ' 12:00Z')::timestamptz WHERE created_at > now() - interval '1 hour'`,
    [day],
  );
}

/**
 * Notes that every transfer up to now is final. Marks of closing itself are good once all transactions of the server have ended, and
 * other specs have some open.
 */
async function noteMark(notedAt = new Date()): Promise<void> {
  await bench.owner.query(
    `INSERT INTO tollgate.transfer_mark (transfer_id, noted_by, noted_at)
     SELECT COALESCE(max(id), 0), '3', $1 FROM tollgate.transfer`,
    [notedAt],
  );
}

async function close(options = PATIENT): Promise<ClosedDay[]> {
  await noteMark();
  return closeDays(bench.sql, options);
}

async function rowOf(day: string): Promise<Record<string, unknown>> {
  const { rows } = await bench.owner.query(
    'SELECT after_id::int, until_id::int, count::int, sums FROM tollgate.day_close WHERE day = $1',
    [day],
  );
  return rows[0];
}

/** Three transfers on the day before yesterday, two on the day before that. */
async function twoDays(): Promise<void> {
  await bench.topUp(accountId, 100n);
  await bench.topUp(accountId, 50n);
  await moveTo(daysAgo(3));
  await settleBatch(bench.sql, [usageEvent(accountId, 7n), usageEvent(accountId, 500n)]);
  await moveTo(daysAgo(2));
}

describe('closing days', () => {
  it('closes each day that is over with its transfers, their sums and a hash over all of them', async () => {
    await twoDays();
    await bench.topUp(accountId, 9n);
    expect(await closeDays(bench.sql, PATIENT)).toEqual([]);
    const closed = await eventually(async () => {
      const days = await closeDays(bench.sql, PATIENT);
      expect(days).not.toEqual([]);
      return days;
    }, 30_000);
    expect(closed.map(({ day, transferCount }) => [day, transferCount])).toEqual([
      [daysAgo(3), 2n],
      [daysAgo(2), 3n],
      [daysAgo(1), 0n],
    ]);
    expect(await rowOf(daysAgo(3))).toEqual({ after_id: 0, until_id: 2, count: 2, sums: { top_up: '150' } });
    expect(await rowOf(daysAgo(2))).toEqual({
      after_id: 2,
      until_id: 5,
      count: 3,
      sums: { usage: '150', absorbed: '357' },
    });
    expect(new Set(closed.map(({ hash }) => hash)).size).toBe(3);
    expect(await close()).toEqual([]);
    expect(await listClosedDays(bench.sql)).toEqual(closed);
    for (const { day } of closed) expect(await verifyDay(bench.sql, day)).toEqual([]);
  });

  it('closes nothing where nothing ever happened', async () => {
    expect(await close()).toEqual([]);
  });

  it('closes at most so many days at a time, and goes on where it was', async () => {
    await twoDays();
    await noteMark();
    const days = [];
    for (let round = 0; round < 4; round += 1) {
      days.push((await closeDays(bench.sql, { ...PATIENT, daysMax: 1 })).map(({ day }) => day));
    }
    expect(days).toEqual([[daysAgo(3)], [daysAgo(2)], [daysAgo(1)], []]);
  });

  it('gives each transfer to one day, however many processes close', async () => {
    await twoDays();
    await noteMark();
    await Promise.all([1, 2, 3, 4].map(() => closeDays(bench.sql, PATIENT)));
    expect(await listClosedDays(bench.sql)).toHaveLength(3);
    const { rows } = await bench.owner.query('SELECT sum(count)::int AS count FROM tollgate.day_close');
    expect(rows[0]).toEqual({ count: 5 });
  });
});

describe('a transaction that is still open', () => {
  it('day close while an older transaction is open leaves its rows to the next day', async () => {
    await twoDays();
    await noteMark();
    const late = await bench.owner.connect();
    await late.query('BEGIN');
    await late.query("SELECT tollgate.adjust('top_up', gen_random_uuid(), $1, 11, NULL, NULL)", [accountId]);
    const other = await bench.newAccount(0n);
    await bench.topUp(other, 5n);
    await moveTo(daysAgo(2));
    await closeDays(bench.sql, PATIENT);
    // The row with the lower id is not there yet, so neither it nor the one behind it is taken.
    expect(await rowOf(daysAgo(2))).toMatchObject({ until_id: 5, count: 3 });
    await late.query('COMMIT');
    late.release();
    expect(await listClosedDays(bench.sql)).toHaveLength(3);
    for (const day of [3, 2, 1]) expect(await verifyDay(bench.sql, daysAgo(day))).toEqual([]);
    const { rows } = await bench.owner.query('SELECT count(*)::int FROM tollgate.transfer WHERE id > 5');
    expect(rows[0]).toEqual({ count: 2 });
  });

  it('is waited for after the end of a day, but not for ever', async () => {
    await bench.topUp(accountId, 100n);
    await moveTo(daysAgo(1));
    const late = await bench.owner.connect();
    try {
      await late.query('BEGIN');
      await late.query("SELECT tollgate.adjust('top_up', gen_random_uuid(), $1, 11, NULL, NULL)", [
        accountId,
      ]);
      const other = await bench.newAccount(0n);
      await bench.topUp(other, 5n);
      await moveTo(daysAgo(1));
      // Every mark that is made now may still have a row appear before it.
      for (let call = 0; call < 3; call += 1) expect(await closeDays(bench.sql, PATIENT)).toEqual([]);
      const { rows } = await bench.owner.query('SELECT min(id) AS first FROM tollgate.transfer');
      await bench.owner.query(
        `INSERT INTO tollgate.transfer_mark (transfer_id, noted_by, noted_at) VALUES ($1, '3', $2)`,
        [rows[0].first, `${daysAgo(1)}T23:00:00Z`],
      );
      expect(await closeDays(bench.sql, PATIENT)).toEqual([]);
      const closed = await closeDays(bench.sql, { ...PATIENT, patienceSeconds: 0 });
      expect(closed.map(({ day, transferCount }) => [day, transferCount])).toEqual([[daysAgo(1), 1n]]);
    } finally {
      await late.query('COMMIT');
      late.release();
    }
    const { rows } = await bench.owner.query(
      'SELECT count(*)::int FROM tollgate.transfer WHERE id > (SELECT max(until_id) FROM tollgate.day_close)',
    );
    expect(rows[0]).toEqual({ count: 2 });
  });
});

describe('a closed day', () => {
  beforeEach(async () => {
    await twoDays();
    await close();
  });

  it.each([
    [
      'an amount',
      'UPDATE tollgate.transfer SET amount = amount + 1 WHERE id = 4',
      [/sums were/, /was changed/],
    ],
    ['a note', `UPDATE tollgate.transfer SET note = 'other' WHERE id = 4`, [/was changed/]],
    ['a time', `UPDATE tollgate.transfer SET created_at = now() WHERE id = 4`, [/was changed/]],
    ['whose it is', `UPDATE tollgate.transfer SET ref_id = gen_random_uuid() WHERE id = 4`, [/was changed/]],
    [
      'that it happened',
      'DELETE FROM tollgate.transfer WHERE id = 4',
      [/3 .* closed, 2/, /sums/, /was changed/],
    ],
  ])('names the day if somebody forges %s', async (_, statement, problems) => {
    await bench.owner.query(statement);
    const found = await verifyDay(bench.sql, daysAgo(2));
    expect(found).toEqual(problems.map((problem) => expect.stringMatching(problem)));
    expect(await verifyDay(bench.sql, daysAgo(3))).toEqual([]);
  });

  it('is not closed again behind the back of the next one', async () => {
    const client = await bench.owner.connect();
    await client.query('BEGIN');
    await client.query(`
      ALTER TABLE tollgate.day_close DISABLE TRIGGER day_close_never_changes, DROP CONSTRAINT day_close_follows;
      UPDATE tollgate.transfer SET amount = amount + 1 WHERE id = 2;
      UPDATE tollgate.day_close c SET rows_hash = d.rows_hash, sums = d.sums, hash = sha256(c.previous_hash || d.rows_hash
          || convert_to((c.day - date '1970-01-01')::text || ' ' || c.after_id || ' ' || c.until_id || ' ' || c.count || ' ' || d.sums::text, 'UTF8'))
        FROM tollgate.digest_transfers(0, 2) AS d WHERE c.previous_day IS NULL`);
    await client.query('COMMIT');
    client.release();
    expect(await verifyDay(bench.sql, daysAgo(3))).toEqual([]);
    expect(await verifyDay(bench.sql, daysAgo(2))).toEqual(['it does not follow the day before']);
  });

  it.each([
    ['be changed', `UPDATE tollgate.day_close SET count = 0`, '42501'],
    ['be deleted', `DELETE FROM tollgate.day_close`, '42501'],
    ['be emptied', `TRUNCATE tollgate.day_close`, '42501'],
  ])('cannot %s, not even by the owner', async (_, statement, code) => {
    await expect(bench.owner.query(statement)).rejects.toMatchObject({ code });
  });

  it('is followed by the next day alone, by its last row and its hash', async () => {
    const insert = (changes: Record<string, string>) => {
      const row: Record<string, string> = {
        day: 'day + 1',
        previous_day: 'day',
        after_id: 'until_id',
        until_id: 'until_id',
        count: '0',
        sums: `'{}'`,
        rows_hash: `sha256('')`,
        previous_hash: 'hash',
        ...changes,
      };
      const hash = `sha256(${row['previous_hash']} || ${row['rows_hash']} || convert_to((${row['day']} - date '1970-01-01')::text || ' '
        || (${row['after_id']})::text || ' ' || (${row['until_id']})::text || ' ' || ${row['count']} || ' ' || '{}', 'UTF8'))`;
      const columns = Object.keys(row).join(', ');
      return bench.owner.query(`INSERT INTO tollgate.day_close (${columns}, hash)
        SELECT ${Object.values(row).join(', ').replace(`'{}'`, `'{}'::jsonb`)}, ${changes['hash'] ?? hash}
          FROM tollgate.day_close ORDER BY tollgate.day_close.day DESC LIMIT 1`);
    };
    const refusals: [Record<string, string>, string][] = [
      [{ day: 'day + 2' }, 'day_close_leaves_no_day_out'],
      [{ after_id: 'until_id + 1', until_id: 'until_id + 1' }, 'day_close_follows'],
      [{ previous_hash: `sha256('other')` }, 'day_close_follows'],
      [{ previous_day: 'NULL::date' }, 'day_close_first_begins_empty'],
      [
        { previous_day: 'NULL::date', after_id: '0', previous_hash: `decode(repeat('00', 32), 'hex')` },
        'day_close_one_first',
      ],
      [{ until_id: 'until_id - 1' }, 'day_close_count_fits'],
      [{ count: '1' }, 'day_close_count_fits'],
    ];
    for (const [changes, constraint] of refusals) {
      await expect(insert(changes)).rejects.toMatchObject({ constraint });
    }
    await expect(
      bench.owner
        .query(`INSERT INTO tollgate.day_close (day, previous_day, after_id, until_id, count, sums, rows_hash, previous_hash, hash)
        SELECT day + 1, day, until_id, until_id, 0, '{}', rows_hash, hash, sha256('guess') FROM tollgate.day_close ORDER BY day DESC LIMIT 1`),
    ).rejects.toMatchObject({ constraint: 'day_close_hash_is_of_row' });
    await insert({});
  });
});
