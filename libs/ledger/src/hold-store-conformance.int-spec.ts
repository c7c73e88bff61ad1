import { createTestDatabase, describeWithRedis, type TestDatabase } from '@tollgate/testing';
import type { Redis } from 'ioredis';
import { describeHoldStore } from './hold-store.conformance.spec-kit.js';
import { LedgerBench } from './ledger.spec-kit.js';
import { PostgresHoldStore } from './postgres-hold-store.js';
import { RedisBench } from './redis/redis.spec-kit.js';

// Real: Postgres, as the application role; Redis.

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

describeHoldStore('holds in Postgres', () => ({ bench, newStore: () => new PostgresHoldStore(bench.app) }));

describeWithRedis('with Redis', () => {
  let redis: RedisBench;
  let client: Redis;

  beforeAll(async () => {
    redis = await RedisBench.start(bench);
    client = await redis.connect();
  });

  afterAll(() => redis.stop());

  describeHoldStore('holds in Redis', () => ({ bench, newStore: () => redis.newStore(client) }));

  describeHoldStore('holds in Redis while it answers', () => ({
    bench,
    newStore: () => redis.newFailover(client),
  }));

  describe('once it is gone', () => {
    beforeAll(() => redis.server.stop('SIGKILL'));

    describeHoldStore('holds in Postgres instead', () => ({
      bench,
      newStore: () => redis.newFailover(client),
    }));
  });
});
