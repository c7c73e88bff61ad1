import { USAGE_JOB_EVENTS_MAX, type UsageEvent } from '@tollgate/contracts';
import { poolSql, settleBatch } from '@tollgate/ledger';
import { usageEventOf } from '@tollgate/testing';
import type { Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import type { BenchDatabase } from './bench-server.js';

/** Batches that are settled at a time, as a billing process does. */
const LANES = 2;
export const COST_NANO = 7_500n;

/** What an event's cost is drawn from: a hold of its own in Postgres, or its account's escrow. */
export type Source = 'hold' | 'escrow';

/** Accounts that pay, each with the escrow that its holds in Redis would draw on. */
export interface Payers {
  readonly accounts: readonly string[];
  readonly escrows: ReadonlyMap<string, string>;
}

/** Grants each account an escrow that outlasts the benchmark. */
export async function withEscrows({ owner }: BenchDatabase, accounts: readonly string[]): Promise<Payers> {
  const { rows } = await owner.query<{ account: string; escrow: string }>(
    `SELECT a.id AS account, e.id AS escrow FROM unnest($1::uuid[]) AS a (id)
      CROSS JOIN LATERAL (SELECT gen_random_uuid() AS id, a.id AS account) AS e
      CROSS JOIN LATERAL tollgate.grant_escrow(a.id, e.id, $2) AS g WHERE g.outcome = 'open'`,
    [accounts, (100_000_000n * COST_NANO).toString()],
  );
  return { accounts, escrows: new Map(rows.map(({ account, escrow }) => [account, escrow])) };
}

/** So many finished requests of random accounts, with their holds where they have one of their own. */
export async function newEvents(
  database: BenchDatabase,
  { accounts, escrows }: Payers,
  { count, source }: { count: number; source: Source },
): Promise<UsageEvent[]> {
  const events = Array.from({ length: count }, () => {
    const accountId = accounts[Math.floor(Math.random() * accounts.length)] ?? '';
    const escrowId = escrows.get(accountId);
    const seeded = {
      accountId,
      apiKeyId: accountId,
      apiKey: '',
      model: 'bench',
      priceId: PRICE,
      deploymentIds: [PRICE],
    };
    return usageEventOf(seeded, {
      costNano: COST_NANO.toString(),
      ...(source === 'escrow' && escrowId !== undefined && { escrowId }),
    });
  });
  if (source === 'hold') await placeHolds(database, events);
  return events;
}

const PRICE = uuidv7();

async function placeHolds({ app }: BenchDatabase, events: readonly UsageEvent[]): Promise<void> {
  for (const batch of batches(events)) {
    const asks = batch.map(({ requestId, accountId }) => ({
      r: requestId,
      a: accountId,
      total: (4n * COST_NANO).toString(),
      ttl: 3_600,
    }));
    const { rows } = await app.query('SELECT FROM tollgate.hold_batch($1) WHERE outcome <> $2', [
      JSON.stringify(asks),
      'held',
    ]);
    if (rows.length > 0) throw new Error('a hold was refused');
  }
}

/** Events per second of a way to write them down, in batches of 200, two at a time. */
export async function eventsPerSecond(
  events: readonly UsageEvent[],
  write: (batch: readonly UsageEvent[]) => Promise<void>,
): Promise<number> {
  const queue = batches(events);
  const startMs = performance.now();
  const lane = async (): Promise<void> => {
    for (let batch = queue.shift(); batch !== undefined; batch = queue.shift()) await write(batch);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return events.length / ((performance.now() - startMs) / 1_000);
}

/** Settles a batch as billing does; everything has to be charged in full. */
export function settleIn(app: Pool): (batch: readonly UsageEvent[]) => Promise<void> {
  const sql = poolSql(app);
  return async (batch) => {
    for (const { outcome, absorbedNano } of await settleBatch(sql, batch)) {
      if (outcome !== 'settled' || absorbedNano > 0n) throw new Error(`an event was ${outcome}`);
    }
  };
}

function batches(events: readonly UsageEvent[]): UsageEvent[][] {
  return Array.from({ length: Math.ceil(events.length / USAGE_JOB_EVENTS_MAX) }, (_, index) =>
    events.slice(index * USAGE_JOB_EVENTS_MAX, (index + 1) * USAGE_JOB_EVENTS_MAX),
  );
}
