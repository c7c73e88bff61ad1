import { setTimeout as delay } from 'node:timers/promises';
import { createPool } from '@tollgate/persistence';
import { createTestDatabase, describeWithRedis, type TestDatabase } from '@tollgate/testing';
import type { Redis } from 'ioredis';
import { v7 as uuidv7 } from 'uuid';
import { PostgresEscrowLedger } from '../escrow-ledger.js';
import { LedgerBench, requestIds, touches } from '../ledger.spec-kit.js';
import { PostgresHoldStore } from '../postgres-hold-store.js';
import { poolSql } from '../sql.js';
import { FailoverHoldStore } from './failover-hold-store.js';
import { ANSWER_MAX_MS } from './hold-redis.js';
import { HoldTraffic } from './hold-traffic.spec-kit.js';
import { RedisHoldStore } from './redis-hold-store.js';
import { RedisPockets } from './redis-pockets.js';
import { RedisBench, whenReady } from './redis.spec-kit.js';

// Real: Postgres, as the application role; Redis, which is killed and frozen.

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

afterEach(async () => {
  expect(await bench.violations()).toEqual([]);
});

describeWithRedis('holds that fail over', () => {
  let redis: RedisBench;
  let client: Redis;
  let store: FailoverHoldStore;
  let switches: string[];

  beforeEach(async () => {
    redis = await RedisBench.start(bench);
    client = await redis.connect(ANSWER_MAX_MS);
    switches = [];
    store = redis.newFailover(client, (to) => switches.push(to));
  });

  afterEach(async () => {
    redis.server.signal('SIGCONT');
    await store.shutdown();
    await redis.stop();
  });

  const untilRedisIsInUse = async (): Promise<void> => {
    while (!store.isRedisInUse) await delay(10);
  };

  describe('while Redis is away', () => {
    it('go to Postgres at once when Redis is killed, and back once it is there', async () => {
      const accountId = await bench.newAccount(1_000n);
      const [first = '', second = '', third = ''] = requestIds(3);
      expect(await store.hold({ requestId: first, accountId, totalNano: 10n })).not.toMatchObject({
        escrowId: null,
      });
      await redis.server.stop('SIGKILL');
      expect(await store.hold({ requestId: second, accountId, totalNano: 10n })).toMatchObject({
        outcome: 'held',
        escrowId: null,
      });
      await redis.server.start();
      await untilRedisIsInUse();
      expect(await store.hold({ requestId: third, accountId, totalNano: 10n })).not.toMatchObject({
        escrowId: null,
      });
      expect(switches).toEqual(['postgres', 'redis']);
    });

    it('go to Postgres while Redis is frozen, and leave nothing behind', async () => {
      const accountId = await bench.newAccount(1_000n);
      const [first = '', second = ''] = requestIds(2);
      await store.hold({ requestId: first, accountId, totalNano: 10n });
      redis.server.signal('SIGSTOP');
      expect(await store.hold({ requestId: second, accountId, totalNano: 20n })).toMatchObject({
        escrowId: null,
      });
      await store.close(first, accountId, 10n);
      redis.server.signal('SIGCONT');
      await untilRedisIsInUse();
      // Redis may have placed the second hold when it woke.
      await store.close(second, accountId, 20n);
      await whenReady(client);
      const [escrow] = await redis.escrows(accountId);
      while ((await redis.pocket(client, accountId))['held'] !== '0') await delay(10);
      expect(await new RedisPockets(client).shut(accountId, escrow?.id ?? '')).toEqual({
        spentNano: 10n,
        heldNano: 0n,
      });
      expect(await bench.account(accountId)).toMatchObject({ held: 70n });
    });
  });

  describe('once Redis was away', () => {
    it('stay with the store that has them', async () => {
      const accountId = await bench.newAccount(1_000n);
      const [inRedis = '', inPostgres = ''] = requestIds(2);
      await store.hold({ requestId: inRedis, accountId, totalNano: 10n });
      await redis.server.stop('SIGTERM');
      await store.hold({ requestId: inPostgres, accountId, totalNano: 10n });
      await redis.server.start();
      await untilRedisIsInUse();
      expect(await store.hold({ requestId: inPostgres, accountId, totalNano: 30n })).toMatchObject({
        grantedNano: 30n,
        escrowId: null,
      });
      expect(await store.touch(touches(accountId, [inRedis, inPostgres]))).toEqual(
        new Map([
          [inPostgres, 'open'],
          [inRedis, 'moved'],
        ]),
      );
    });

    it('count as gone in a Redis that is away, and are held again in Postgres', async () => {
      const accountId = await bench.newAccount(1_000n);
      const requestId = uuidv7();
      await store.hold({ requestId, accountId, totalNano: 10n });
      await redis.server.stop('SIGKILL');
      expect(await store.touch(touches(accountId, [requestId]))).toEqual(new Map([[requestId, 'gone']]));
      expect(await store.hold({ requestId, accountId, totalNano: 10n })).toMatchObject({ escrowId: null });
      expect(await store.touch(touches(accountId, [requestId]))).toEqual(new Map([[requestId, 'open']]));
    });
  });

  describe('of accounts whose money is elsewhere', () => {
    it('never refuse an account whose money is in a pocket that cannot be reached, and call it back', async () => {
      const accountId = await bench.newAccount(100n);
      const [spent = '', asking = ''] = requestIds(2);
      await store.hold({ requestId: spent, accountId, totalNano: 30n });
      await store.close(spent, accountId, 0n);
      await redis.server.stop('SIGTERM');
      const ask = { requestId: asking, accountId, totalNano: 60n };
      expect(await store.hold(ask)).toMatchObject({ outcome: 'set_aside' });
      expect(await store.hold({ ...ask, totalNano: 101n })).toMatchObject({ outcome: 'refused' });
      expect(await redis.escrows(accountId)).toMatchObject([{ state: 'closing' }]);
      await redis.server.start();
      await untilRedisIsInUse();
      await redis.returnEscrows(client, accountId);
      store.forgetEmpty();
      expect(await store.hold(ask)).toMatchObject({ outcome: 'held' });
    });

    it('are not placed in Postgres because Postgres is away', async () => {
      const pool = createPool({ url: 'postgres://nobody@127.0.0.1:1/none', max: 2, name: 'away' });
      const pockets = new RedisPockets(client);
      const ledger = new PostgresEscrowLedger(poolSql(pool));
      const alone = new FailoverHoldStore({
        redis: new RedisHoldStore(pockets, ledger),
        postgres: new PostgresHoldStore(pool),
        ledger,
        probe: () => pockets.probe(),
      });
      const accountId = await bench.newAccount(1_000n);
      await store.hold({ requestId: uuidv7(), accountId, totalNano: 10n });
      // What is in the pocket is spent without Postgres.
      expect(await alone.hold({ requestId: uuidv7(), accountId, totalNano: 40n })).toMatchObject({
        outcome: 'held',
      });
      const short = alone.hold({ requestId: uuidv7(), accountId, totalNano: 10n });
      await expect(short).rejects.toMatchObject({ name: 'HoldStoreUnavailableError' });
      expect(alone.isRedisInUse).toBe(true);
      await alone.shutdown();
      await pool.end();
    });
  });

  it('survive a Redis that comes and goes under load: nothing spent twice, nothing left held', async () => {
    const accounts = await Promise.all([1, 2, 3].map(() => bench.newAccount(3_000n)));
    const other = redis.newFailover(await redis.connect(ANSWER_MAX_MS));
    const traffic = new HoldTraffic(bench, [store, other], accounts);
    let isOver = false;
    const running = traffic.run(12, () => isOver);
    for (let round = 0; round < 2; round += 1) {
      await delay(300);
      await redis.server.stop('SIGKILL');
      await delay(300);
      await redis.server.start();
      await delay(600);
      redis.server.signal('SIGSTOP');
      await delay(500);
      redis.server.signal('SIGCONT');
    }
    await delay(600);
    isOver = true;
    await running;
    await untilRedisIsInUse();
    await other.shutdown();
    expect(traffic.outcomes.unavailable).toBe(0);
    expect(traffic.outcomes.held).toBeGreaterThan(10);
    expect(traffic.absorbedNano).toBe(0n);
    for (const accountId of accounts) {
      await redis.returnEscrows(client, accountId);
      expect(await bench.account(accountId)).toMatchObject({
        posted: 3_000n - (traffic.spentNano.get(accountId) ?? 0n),
        held: 0n,
      });
    }
  });
});
