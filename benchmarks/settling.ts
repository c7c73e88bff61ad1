import type { UsageEvent } from '@tollgate/contracts';
import type { Pool } from 'pg';
import { BenchServer, newAccounts, type BenchDatabase } from './bench-server.js';
import { median, ratioOf, type Ratio } from './figures.js';
import { writeRecord } from './record.js';
import {
  eventsPerSecond,
  newEvents,
  settleIn,
  withEscrows,
  type Payers,
  type Source,
} from './settling-subjects.js';

const ROUNDS = 7;
const WARM_UP_ROUNDS = 1;
const EVENTS = 6_000;
const CASES: readonly { readonly accounts: number; readonly source: Source }[] = [
  { accounts: 1, source: 'escrow' },
  { accounts: 1, source: 'hold' },
  { accounts: 10_000, source: 'escrow' },
  { accounts: 10_000, source: 'hold' },
];

interface Result {
  readonly accounts: number;
  readonly source: Source;
  readonly settledPerSecond: number;
  /** Rows of `usage_record` alone, and with a transfer each. */
  readonly insertedPerSecond: { readonly records: number; readonly recordsAndTransfers: number };
  readonly ofRecords: Ratio;
  readonly ofRecordsAndTransfers: Ratio;
}

/** Settle throughput as a share of a bare `INSERT … ON CONFLICT` of the same rows into tables of the same shape. */
export async function measureSettling(): Promise<void> {
  const server = await BenchServer.start();
  try {
    const database = await server.newDatabase('settling');
    await makeBareTables(database.owner);
    const many = await withEscrows(database, await newAccounts(database, 10_000));
    const hot = await withEscrows(database, await newAccounts(database, 1));
    const results: Result[] = [];
    for (const { accounts, source } of CASES) {
      results.push(await takeTurns(database, accounts === 1 ? hot : many, source));
    }
    report(results);
  } finally {
    await server.stop();
  }
}

async function takeTurns(database: BenchDatabase, payers: Payers, source: Source): Promise<Result> {
  const settled: number[] = [];
  const records: number[] = [];
  const both: number[] = [];
  const settle = settleIn(database.app);
  const fresh = (from: Source): Promise<UsageEvent[]> =>
    newEvents(database, payers, { count: EVENTS, source: from });
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
    const speeds = [
      await eventsPerSecond(await fresh(source), settle),
      // The rows are the same, but nothing is held for them.
      await eventsPerSecond(await fresh('escrow'), (batch) => insert(database.owner, batch, INSERT_RECORDS)),
      await eventsPerSecond(await fresh('escrow'), (batch) => insert(database.owner, batch, INSERT_BOTH)),
    ];
    if (round < 0) continue;
    for (const [index, list] of [settled, records, both].entries()) list.push(speeds[index] ?? Number.NaN);
  }
  return {
    accounts: payers.accounts.length,
    source,
    settledPerSecond: Math.round(median(settled)),
    insertedPerSecond: {
      records: Math.round(median(records)),
      recordsAndTransfers: Math.round(median(both)),
    },
    ofRecords: ratioOf(settled, records),
    ofRecordsAndTransfers: ratioOf(settled, both),
  };
}

/** Tables with the columns, constraints and indexes of the real ones. */
async function makeBareTables(owner: Pool): Promise<void> {
  await owner.query(`
    CREATE SCHEMA bare;
    CREATE TABLE bare.usage_record (LIKE tollgate.usage_record INCLUDING ALL) PARTITION BY RANGE (request_id);
    CREATE TABLE bare.usage_record_all PARTITION OF bare.usage_record DEFAULT;
    CREATE TABLE bare.transfer (LIKE tollgate.transfer INCLUDING ALL);
    CREATE SEQUENCE bare.account_seq CACHE 200;
  `);
}

async function insert(owner: Pool, batch: readonly UsageEvent[], statement: string): Promise<void> {
  const { rowCount } = await owner.query(statement, [JSON.stringify(batch)]);
  if (rowCount !== batch.length) throw new Error('a row was not inserted');
}

const EVENTS_OF = `
  SELECT x."requestId" AS request_id, x."accountId" AS account_id, x."apiKeyId" AS api_key_id, x.model,
         x."upstreamModel" AS upstream_model, x."deploymentId" AS deployment_id, x."priceId" AS price_id,
         x."multiplierPpm" AS multiplier_ppm, x.units, x.billable, x."usageSource" AS usage_source, x.outcome,
         x."costNano" AS cost, x.attempts, x."firstByteMs" AS first_byte_ms, x."totalMs" AS total_ms,
         x."finishedAt" AS finished_at, decode(repeat('00', 32), 'hex') AS body_hash
    FROM jsonb_to_recordset($1) AS x ("requestId" uuid, "accountId" uuid, "apiKeyId" uuid, model text, "upstreamModel" text,
         "deploymentId" uuid, "priceId" uuid, "multiplierPpm" int, units jsonb, billable boolean, "usageSource" text,
         outcome text, "costNano" bigint, attempts int, "firstByteMs" int, "totalMs" int, "finishedAt" timestamptz)`;

const RECORD_COLUMNS = `request_id, account_id, api_key_id, model, upstream_model, deployment_id, price_id, multiplier_ppm,
  units, billable, usage_source, outcome, cost, attempts, first_byte_ms, total_ms, finished_at, body_hash`;

const INSERT_RECORDS = `
  INSERT INTO bare.usage_record (${RECORD_COLUMNS}) ${EVENTS_OF} ON CONFLICT (request_id, swept) DO NOTHING`;

const INSERT_BOTH = `
  WITH recorded AS (
    INSERT INTO bare.usage_record (${RECORD_COLUMNS}) ${EVENTS_OF} ON CONFLICT (request_id, swept) DO NOTHING
    RETURNING request_id, account_id, cost
  )
  INSERT INTO bare.transfer (kind, ref_id, debit_id, credit_id, amount, account_id, account_seq, balance_after)
    SELECT 'usage', request_id, account_id, '00000000-0000-0000-0000-000000000001', cost, account_id,
           nextval('bare.account_seq'), cost FROM recorded
  ON CONFLICT (kind, ref_id) DO NOTHING`;

function report(results: readonly Result[]): void {
  writeRecord('settling', { rounds: ROUNDS, eventsPerRound: EVENTS, results });
  for (const { accounts, source, settledPerSecond, ofRecords, ofRecordsAndTransfers } of results) {
    process.stdout.write(
      `${accounts} account(s), paid from ${source}: ${settledPerSecond} events/s, ` +
        `${told(ofRecords)} of a bare insert of the records, ${told(ofRecordsAndTransfers)} with their transfers\n`,
    );
  }
}

function told({ min, median: middle, max }: Ratio): string {
  return `${middle} (${min} to ${max})`;
}
