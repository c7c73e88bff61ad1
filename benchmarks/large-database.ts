import type { Pool } from 'pg';
import { BenchServer, OPENING_NANO, newAccounts, type BenchDatabase } from './bench-server.js';
import { median, ratioOf, round2, type Ratio } from './figures.js';
import { writeRecord } from './record.js';
import { COST_NANO, eventsPerSecond, newEvents, settleIn } from './settling-subjects.js';

const ACCOUNTS = 1_000_000;
const RECORDS_PER_ACCOUNT = 10;
/** Rows that one statement makes. */
const CHUNK_ACCOUNTS = 20_000;
/** Statements that fill at a time. */
const FILL_LANES = 2;
const FEW_ACCOUNTS = 10_000;
const ROUNDS = 9;
const WARM_UP_ROUNDS = 2;
const EVENTS = 6_000;

/** What an event's cost is drawn from: a hold of its own, or what its account has available. */
type Source = 'hold' | 'available';

interface Result {
  readonly source: Source;
  readonly microsecondsPerEvent: { readonly empty: number; readonly large: number };
  readonly largeOverEmpty: Ratio;
}

/**
 * What settling an event takes in a database with a year's rows, over what it takes in an empty one, by turns on the same server.
 * Each batch has other accounts, at random among all of them.
 */
export async function measureLargeDatabase(accounts = ACCOUNTS): Promise<void> {
  const server = await BenchServer.start({ max_wal_size: '16GB', shared_buffers: '1GB' });
  try {
    const empty = await server.newDatabase('empty');
    const few = await newAccounts(empty, FEW_ACCOUNTS);
    const large = await server.newDatabase('large');
    const filledMs = await fill(large.owner, accounts);
    const many = await accountsOf(large.owner);
    const results: Result[] = [];
    for (const source of ['hold', 'available'] as const) {
      results.push(await takeTurns({ empty, few, large, many }, source));
    }
    const rows = accounts * RECORDS_PER_ACCOUNT;
    writeRecord('large-database', {
      rounds: ROUNDS,
      eventsPerRound: EVENTS,
      accounts,
      rows,
      results,
    });
    process.stdout.write(`filled ${rows} records and transfers in ${round2(filledMs / 1_000)} s\n`);
    for (const { source, microsecondsPerEvent, largeOverEmpty } of results) {
      process.stdout.write(
        `paid from ${source}: ${microsecondsPerEvent.large} µs per event with ${rows} records and ${accounts} accounts, ` +
          `${microsecondsPerEvent.empty} µs without, ratio ${largeOverEmpty.median} (${largeOverEmpty.min} to ${largeOverEmpty.max})\n`,
      );
    }
  } finally {
    await server.stop();
  }
}

interface Databases {
  readonly empty: BenchDatabase;
  readonly few: readonly string[];
  readonly large: BenchDatabase;
  readonly many: readonly string[];
}

async function takeTurns(databases: Databases, source: Source): Promise<Result> {
  const micros: Record<'empty' | 'large', number[]> = { empty: [], large: [] };
  const subjects = [
    ['empty', databases.empty, databases.few],
    ['large', databases.large, databases.many],
  ] as const;
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
    for (const [name, database, accounts] of subjects) {
      const payers = { accounts, escrows: new Map<string, string>() };
      const events = await newEvents(database, payers, {
        count: EVENTS,
        // Without any escrow an event draws on what is available.
        source: source === 'hold' ? 'hold' : 'escrow',
      });
      const perSecond = await eventsPerSecond(events, settleIn(database.app));
      if (round >= 0) micros[name].push(1_000_000 / perSecond);
    }
  }
  return {
    source,
    microsecondsPerEvent: {
      empty: Math.round(median(micros.empty)),
      large: Math.round(median(micros.large)),
    },
    largeOverEmpty: ratioOf(micros.large, micros.empty),
  };
}

/** Accounts with ten requests each over the last ninety days, into the real tables with all their constraints and indexes. */
async function fill(owner: Pool, accounts: number): Promise<number> {
  const startMs = performance.now();
  for (let month = 0; month <= 3; month += 1) {
    await owner.query(
      `SELECT tollgate.create_usage_month(date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - make_interval(months => $1))`,
      [month],
    );
  }
  const age = (n: number): number => 90 * (1 - n / accounts);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let from = next; from < accounts; from = next) {
      const count = Math.min(CHUNK_ACCOUNTS, accounts - from);
      next += count;
      await owner.query(FILL, [
        count,
        OPENING_NANO.toString(),
        RECORDS_PER_ACCOUNT,
        COST_NANO.toString(),
        `${String(age(from))} days`,
        `${String((age(from) - age(from + count)) / count)} days`,
      ]);
    }
  };
  await Promise.all(Array.from({ length: FILL_LANES }, lane));
  await owner.query('VACUUM ANALYZE');
  await owner.query('CHECKPOINT');
  return performance.now() - startMs;
}

/**
 * $1 accounts, $2 what each began with, $3 requests of each, $4 what one cost, $5 how long ago the first were, $6 time between
 * the requests of one account and the next.
 */
const FILL = `
  WITH account AS MATERIALIZED (
    SELECT n, gen_random_uuid() AS id FROM generate_series(1, $1::int) AS n
  ), made AS (
    INSERT INTO tollgate.account (id, name, posted, seq)
      SELECT id, 'bench', $2::bigint - $3::int * $4::bigint, $3::int + 1 FROM account
  ), request AS MATERIALIZED (
    SELECT a.id AS account_id, r AS place,
           overlay(tollgate.uuid_v7_floor(now() - $5::interval + (a.n + r::float8 / 100) * $6::interval)::text
             PLACING '7' || substr(md5(a.id::text || r), 1, 3) || '-8' || substr(md5(r || a.id::text), 1, 3) || '-'
               || substr(md5(a.id::text || r || 'node'), 1, 12) FROM 15)::uuid AS id
      FROM account a CROSS JOIN generate_series(1, $3::int) AS r
  ), recorded AS (
    INSERT INTO tollgate.usage_record (request_id, account_id, api_key_id, model, upstream_model, deployment_id, price_id,
        multiplier_ppm, units, billable, usage_source, outcome, cost, attempts, first_byte_ms, total_ms, finished_at, body_hash)
      SELECT id, account_id, account_id, 'model-' || place, 'upstream-model', account_id, account_id, 1000000,
             '{"input": 10, "output": 10}', true, 'provider', 'completed', $4::bigint, 1, 1, 2, now(), sha256(id::text::bytea)
        FROM request ORDER BY id
  ), topped_up AS (
    INSERT INTO tollgate.transfer (kind, ref_id, debit_id, credit_id, amount, account_id, account_seq, balance_after)
      SELECT 'top_up', gen_random_uuid(), '00000000-0000-0000-0000-000000000003', id, $2::bigint, id, 1, $2::bigint FROM account
  )
  INSERT INTO tollgate.transfer (kind, ref_id, debit_id, credit_id, amount, account_id, account_seq, balance_after)
    SELECT 'usage', id, account_id, '00000000-0000-0000-0000-000000000001', $4::bigint, account_id, place + 1,
           $2::bigint - place * $4::bigint FROM request ORDER BY id`;

async function accountsOf(owner: Pool): Promise<string[]> {
  const { rows } = await owner.query<{ id: string }>('SELECT id FROM tollgate.account');
  return rows.map(({ id }) => id);
}
