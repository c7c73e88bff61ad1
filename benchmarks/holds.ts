import {
  PostgresEscrowLedger,
  PostgresHoldStore,
  RedisHoldStore,
  RedisPockets,
  connectHoldRedis,
  poolSql,
  type HoldStore,
} from '@tollgate/ledger';
import { startRedis } from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { BenchServer, newAccounts, type BenchDatabase } from './bench-server.js';
import { median, percentile, ratioOf, round2, type Ratio } from './figures.js';
import { writeRecord } from './record.js';

const CALLERS = 64;
const ROUNDS = 7;
const WARM_UP_ROUNDS = 1;
const ROUND_MS = 2_000;
const HOLD_NANO = 1_000_000n;
const COST_NANO = 1_000n;
const ACCOUNTS = [1, 10_000] as const;

type StoreName = 'postgres' | 'redis';

/** What one round of one store was. */
interface Round {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

interface Result {
  readonly accounts: number;
  readonly store: StoreName;
  readonly holdsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/**
 * Holds per second and what they take, in both stores by turns, with one hot account and with many: each caller places a hold and
 * closes it, one request after the other.
 */
export async function measureHolds(): Promise<void> {
  const server = await BenchServer.start();
  const redis = await startRedis();
  const client = connectHoldRedis(redis.url);
  try {
    await new Promise((resolve) => client.once('ready', resolve));
    const database = await server.newDatabase('holds');
    const stores: Readonly<Record<StoreName, HoldStore>> = {
      postgres: new PostgresHoldStore(database.app),
      redis: new RedisHoldStore(new RedisPockets(client), new PostgresEscrowLedger(poolSql(database.app))),
    };
    const results: Result[] = [];
    const ratios: { readonly accounts: number; readonly redisOverPostgres: Ratio }[] = [];
    for (const accounts of ACCOUNTS) {
      const rounds = await takeTurns(stores, { database, accounts });
      for (const store of ['postgres', 'redis'] as const) {
        results.push(summary(accounts, store, rounds[store]));
      }
      const speeds = (store: StoreName): number[] => rounds[store].map(({ perSecond }) => perSecond);
      ratios.push({ accounts, redisOverPostgres: ratioOf(speeds('redis'), speeds('postgres')) });
    }
    report(results, ratios);
    await Promise.all(Object.values(stores).map((store) => store.shutdown()));
  } finally {
    client.disconnect();
    await Promise.all([redis.remove(), server.stop()]);
  }
}

async function takeTurns(
  stores: Readonly<Record<StoreName, HoldStore>>,
  { database, accounts }: { database: BenchDatabase; accounts: number },
): Promise<Record<StoreName, Round[]>> {
  // Each store has accounts of its own: what the one leaves held is not the other's.
  const payers = {
    postgres: await newAccounts(database, accounts),
    redis: await newAccounts(database, accounts),
  };
  // Each account's first hold in Redis asks Postgres for an escrow. That is not what a busy account's holds take.
  for (const name of ['postgres', 'redis'] as const) await holdOnEach(stores[name], payers[name]);
  const rounds: Record<StoreName, Round[]> = { postgres: [], redis: [] };
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
    for (const name of ['postgres', 'redis'] as const) {
      const measured = await measureRound(stores[name], payers[name]);
      if (round >= 0) rounds[name].push(measured);
    }
  }
  return rounds;
}

async function holdOnEach(store: HoldStore, accounts: readonly string[]): Promise<void> {
  const left = [...accounts];
  const call = async (): Promise<void> => {
    for (let accountId = left.pop(); accountId !== undefined; accountId = left.pop()) {
      const requestId = uuidv7();
      await store.hold({ requestId, accountId, totalNano: HOLD_NANO });
      await store.close(requestId, accountId, COST_NANO);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, call));
}

async function measureRound(store: HoldStore, accounts: readonly string[]): Promise<Round> {
  const waits: number[] = [];
  const startMs = performance.now();
  const call = async (): Promise<void> => {
    while (performance.now() - startMs < ROUND_MS) {
      const accountId = accounts[Math.floor(Math.random() * accounts.length)] ?? '';
      const requestId = uuidv7();
      const askedMs = performance.now();
      const { outcome } = await store.hold({ requestId, accountId, totalNano: HOLD_NANO });
      waits.push(performance.now() - askedMs);
      if (outcome !== 'held') throw new Error(`a hold was ${outcome}`);
      await store.close(requestId, accountId, COST_NANO);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, call));
  const seconds = (performance.now() - startMs) / 1_000;
  return { perSecond: waits.length / seconds, p50Ms: percentile(waits, 50), p99Ms: percentile(waits, 99) };
}

function summary(accounts: number, store: StoreName, rounds: readonly Round[]): Result {
  return {
    accounts,
    store,
    holdsPerSecond: Math.round(median(rounds.map(({ perSecond }) => perSecond))),
    p50Ms: round2(median(rounds.map(({ p50Ms }) => p50Ms))),
    p99Ms: round2(median(rounds.map(({ p99Ms }) => p99Ms))),
  };
}

function report(
  results: readonly Result[],
  ratios: readonly { readonly accounts: number; readonly redisOverPostgres: Ratio }[],
): void {
  writeRecord('holds', { rounds: ROUNDS, callers: CALLERS, results, ratios });
  for (const { accounts, store, holdsPerSecond, p50Ms, p99Ms } of results) {
    process.stdout.write(
      `${accounts} account(s), ${store}: ${holdsPerSecond} holds/s, p50 ${p50Ms} ms, p99 ${p99Ms} ms\n`,
    );
  }
  for (const {
    accounts,
    redisOverPostgres: { min, median: middle, max },
  } of ratios) {
    process.stdout.write(`${accounts} account(s): Redis over Postgres ${middle} (${min} to ${max})\n`);
  }
}
