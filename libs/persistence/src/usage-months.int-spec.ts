import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import type { Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { createPool } from './pool.js';

// Real: Postgres, as the owner.

let database: TestDatabase;
let owner: Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  owner = createPool({ url: database.ownerUrl, max: 2, name: 'months-spec' });
});

afterAll(async () => {
  await owner.end();
  await database.drop();
});

/** The first moment of a month from now, in UTC milliseconds. */
function monthStart(ahead: number): number {
  const now = new Date();
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead);
}

function tableOf(ahead: number): string {
  return `usage_record_${new Date(monthStart(ahead)).toISOString().slice(0, 7).replace('-', '_')}`;
}

async function record(requestId: string): Promise<void> {
  await owner.query(
    `INSERT INTO tollgate.usage_record (request_id, account_id, api_key_id, model, upstream_model, price_id,
         multiplier_ppm, units, billable, usage_source, outcome, cost, attempts, total_ms, finished_at, body_hash)
       VALUES ($1, $1, $1, 'm', 'm', $1, 1, '{}', true, 'none', 'completed', 0, 1, 1, now(), '')`,
    [requestId],
  );
}

async function tableHolding(requestId: string): Promise<string | undefined> {
  const { rows } = await owner.query<{ name: string }>(
    `SELECT relname AS name FROM tollgate.usage_record u JOIN pg_class c ON c.oid = u.tableoid WHERE request_id = $1`,
    [requestId],
  );
  return rows[0]?.name;
}

describe('usage by month', () => {
  it('puts every UUIDv7 of a month into its table, to the millisecond', async () => {
    const cases: [number, string][] = [
      [monthStart(0), tableOf(0)],
      [monthStart(1) - 1, tableOf(0)],
      [monthStart(1), tableOf(1)],
      [monthStart(4) - 1, tableOf(3)],
      [monthStart(4), 'usage_record_default'],
      [monthStart(0) - 1, 'usage_record_default'],
    ];
    for (const [msecs, table] of cases) {
      const requestId = uuidv7({ msecs });
      await record(requestId);
      expect(await tableHolding(requestId)).toBe(table);
    }
  });

  it('knows a request once, in whatever month', async () => {
    const requestId = uuidv7();
    await record(requestId);
    await expect(record(requestId)).rejects.toMatchObject({ code: '23505' });
  });

  it('looks for a request in its own month alone', async () => {
    const { rows } = await owner.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN SELECT FROM tollgate.usage_record WHERE request_id = '${uuidv7()}'`,
    );
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toContain(tableOf(0));
    expect(plan).not.toContain(tableOf(1));
    expect(plan).not.toContain('default');
  });

  it('makes a month late, and moves along what came before it was there', async () => {
    const [early, late] = [uuidv7({ msecs: monthStart(5) }), uuidv7({ msecs: monthStart(6) })];
    await record(early);
    await record(late);
    const { rows } = await owner.query('SELECT tollgate.ensure_usage_partitions(5) AS made');
    expect(rows).toEqual([{ made: 2 }]);
    expect(await tableHolding(early)).toBe(tableOf(5));
    expect(await tableHolding(late)).toBe('usage_record_default');
    await expect(record(early)).rejects.toMatchObject({ code: '23505' });
  });

  it('makes each month once, however many ask at the same time', async () => {
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => owner.query('SELECT tollgate.ensure_usage_partitions(8) AS made')),
    );
    const made = answers.map(({ rows }) => rows[0].made).sort();
    expect(made).toEqual([0, 0, 0, 3]);
  });

  it('has months of UTC, whatever the time zone of the session', async () => {
    const client = await owner.connect();
    await client.query(`SET TimeZone = 'Pacific/Kiritimati'`);
    await client.query('SELECT tollgate.ensure_usage_partitions(9)');
    client.release(true);
    const requestId = uuidv7({ msecs: monthStart(10) - 1 });
    await record(requestId);
    expect(await tableHolding(requestId)).toBe(tableOf(9));
  });
});
