import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createTestDatabase, describeWithRedis, type TestDatabase } from '@tollgate/testing';
import type { Redis } from 'ioredis';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import type { HoldStore } from '../hold-store.js';
import { LedgerBench, requestIds, touches } from '../ledger.spec-kit.js';
import { HoldTraffic } from './hold-traffic.spec-kit.js';
import { RedisPockets } from './redis-pockets.js';
import { testRedisForHolds } from './redis-self-test.js';
import { RedisBench, whenReady } from './redis.spec-kit.js';

// Real: Postgres, as the application role; Redis, several of them. What Redis loses is never spent twice.

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

/** Everything returns: nothing is held any more, and each account paid what its requests cost. */
async function expectDrained(
  redis: RedisBench,
  client: Redis,
  told: { accounts: readonly string[]; balanceNano: bigint; traffic: HoldTraffic },
): Promise<void> {
  const { accounts, balanceNano, traffic } = told;
  expect(traffic.absorbedNano).toBe(0n);
  expect(traffic.outcomes.held).toBeGreaterThan(5);
  for (const accountId of accounts) {
    await redis.returnEscrows(client, accountId);
    expect(await bench.account(accountId)).toMatchObject({
      posted: balanceNano - (traffic.spentNano.get(accountId) ?? 0n),
      held: 0n,
    });
  }
}

describeWithRedis('one Redis that loses data', () => {
  let redis: RedisBench;
  let client: Redis;
  let store: HoldStore;

  beforeAll(async () => {
    redis = await RedisBench.start(bench, ['--appendfsync', 'always']);
    client = await redis.connect();
    store = redis.newStore(client);
  });

  afterAll(async () => {
    await store.shutdown();
    await redis.stop();
  });

  async function traffic(balanceNano: bigint) {
    const accounts = await Promise.all([1, 2, 3].map(() => bench.newAccount(balanceNano)));
    const stores = [store, redis.newStore(await redis.connect())];
    return { accounts, balanceNano, traffic: new HoldTraffic(bench, stores, accounts) };
  }

  describe('under load', () => {
    it('FLUSHALL under load: nothing spent twice, no escrow left', async () => {
      const told = await traffic(3_000n);
      let isOver = false;
      const running = told.traffic.run(12, () => isOver);
      for (let round = 1; round <= 5; round += 1) {
        while (told.traffic.outcomes.held < round * 15) await delay(5);
        await client.flushall();
      }
      while (told.traffic.outcomes.heldAgain === 0) await delay(5);
      isOver = true;
      await running;
      await expectDrained(redis, client, told);
      for (const accountId of told.accounts) {
        const states = (await redis.escrows(accountId)).map(({ state }) => state);
        expect(new Set(states)).toEqual(new Set(['closed']));
      }
    });

    it('kill -9 of Redis and restart from an older AOF: nothing spent twice', async () => {
      const told = await traffic(3_000n);
      const [, dir = ''] = z.tuple([z.string(), z.string()]).parse(await client.config('GET', 'dir'));
      const [live, copy] = [join(dir, 'appendonlydir'), join(dir, 'older')];
      let isOver = false;
      const running = told.traffic.run(12, () => isOver);
      for (let round = 0; round < 2; round += 1) {
        await delay(200);
        rmSync(copy, { recursive: true, force: true });
        cpSync(live, copy, { recursive: true });
        await delay(200);
        await redis.server.stop('SIGKILL');
        rmSync(live, { recursive: true });
        cpSync(copy, live, { recursive: true });
        await redis.server.start();
      }
      await delay(700);
      isOver = true;
      await running;
      expect(told.traffic.outcomes.unavailable).toBeGreaterThan(0);
      await whenReady(client);
      await expectDrained(redis, client, told);
    });
  });

  describe('restarted', () => {
    it('a Redis restart never answers insufficient_quota to an account that has money', async () => {
      const accountId = await bench.newAccount(100n);
      const requestId = uuidv7();
      await store.hold({ requestId, accountId, totalNano: 60n });
      await store.close(requestId, accountId, 0n);
      await redis.server.stop('SIGKILL');
      await redis.server.start();
      await whenReady(client);
      const ask = { requestId: uuidv7(), accountId, totalNano: 60n };
      expect(await store.hold(ask)).toEqual({ outcome: 'set_aside', retryAfterSeconds: 10 });
      expect(await store.hold({ ...ask, totalNano: 101n })).toMatchObject({ outcome: 'refused' });
      await redis.returnEscrows(client, accountId);
      expect(await store.hold(ask)).toMatchObject({ outcome: 'held' });
    });

    it('a restart without any loss still begins new pockets: who lost nothing cannot be known', async () => {
      const accountId = await bench.newAccount(1_000n);
      const requestId = uuidv7();
      await store.hold({ requestId, accountId, totalNano: 10n });
      await redis.server.stop('SIGTERM');
      await redis.server.start();
      await whenReady(client);
      expect((await store.touch(touches(accountId, [requestId]))).get(requestId)).toBe('moved');
      expect(await store.hold({ requestId, accountId, totalNano: 10n })).toMatchObject({ outcome: 'held' });
      expect((await store.touch(touches(accountId, [requestId]))).get(requestId)).toBe('open');
      expect((await redis.escrows(accountId)).map(({ state }) => state)).toEqual(['closing', 'open']);
    });

    it('a pocket of another history is not believed when it is shut', async () => {
      const accountId = await bench.newAccount(1_000n);
      await store.hold({ requestId: uuidv7(), accountId, totalNano: 10n });
      await redis.server.stop('SIGKILL');
      await redis.server.start();
      await whenReady(client);
      const [escrow] = await redis.escrows(accountId);
      expect(await new RedisPockets(client).shut(accountId, escrow?.id ?? '')).toBeNull();
      expect(await redis.pocket(client, accountId)).toEqual({});
    });
  });
});

/** A master does not wait for more replicas before it sends its data. */
const AT_ONCE = ['--repl-diskless-sync-delay', '0'];

describeWithRedis('replicas', () => {
  let master: RedisBench;
  let replica: RedisBench;
  let onMaster: Redis;
  let onReplica: Redis;

  beforeEach(async () => {
    [master, replica] = await Promise.all([
      RedisBench.start(bench, AT_ONCE),
      RedisBench.start(bench, AT_ONCE),
    ]);
    [onMaster, onReplica] = await Promise.all([master.connect(), replica.connect()]);
    await onReplica.replicaof('127.0.0.1', portOf(master));
    while (!/master_link_status:up/.test(await onReplica.info('replication'))) await delay(20);
  });

  afterEach(() => Promise.all([master.stop(), replica.stop()]));

  it('replica promoted without the last writes: the redirected client gets an empty pocket', async () => {
    const accountId = await bench.newAccount(100n);
    const [first = '', last = '', after = ''] = requestIds(3);
    const before = master.newStore(onMaster);
    await before.hold({ requestId: first, accountId, totalNano: 10n });
    await onMaster.wait(1, 1_000);
    const [old] = await master.escrows(accountId);
    await onReplica.replicaof('NO', 'ONE');
    expect(await before.hold({ requestId: last, accountId, totalNano: 40n })).toMatchObject({
      outcome: 'held',
    });
    await master.server.stop('SIGKILL');

    const redirected = replica.newStore(onReplica);
    expect(await replica.pocket(onReplica, accountId)).toMatchObject({ escrow: old?.id, spent: '0' });
    const result = await redirected.hold({ requestId: after, accountId, totalNano: 60n });
    expect(result.outcome).not.toBe('held');
    expect(await replica.pocket(onReplica, accountId)).not.toMatchObject({ escrow: old?.id });
    expect(await bench.account(accountId)).toMatchObject({ held: 100n });
  });

  it('REPLICAOF and back with the same run id: pockets are replaced', async () => {
    const accountId = await bench.newAccount(1_000n);
    const store = master.newStore(onMaster);
    const runId = runIdOf(await onMaster.info('server'));
    await store.hold({ requestId: uuidv7(), accountId, totalNano: 10n });
    const [old] = await master.escrows(accountId);
    await onMaster.wait(1, 1_000);
    await onReplica.replicaof('NO', 'ONE');
    await store.hold({ requestId: uuidv7(), accountId, totalNano: 30n });
    await onMaster.replicaof('127.0.0.1', portOf(replica));
    while (!/master_link_status:up/.test(await onMaster.info('replication'))) await delay(20);
    await onMaster.replicaof('NO', 'ONE');
    expect(runIdOf(await onMaster.info('server'))).toBe(runId);
    expect(await master.pocket(onMaster, accountId)).toMatchObject({ escrow: old?.id });
    expect(await store.hold({ requestId: uuidv7(), accountId, totalNano: 10n })).toMatchObject({
      outcome: 'held',
    });
    expect(await master.pocket(onMaster, accountId)).not.toMatchObject({ escrow: old?.id });
  });

  it('a master that writes without its replicas is warned of at start, a replica is refused', async () => {
    const { warning } = await testRedisForHolds(new RedisPockets(onMaster));
    expect(warning).toMatch(/min-replicas-to-write/);
    await onMaster.config('SET', 'min-replicas-to-write', '1');
    while (!/min_slaves_good_slaves:1/.test(await onMaster.info('replication'))) await delay(20);
    expect(await testRedisForHolds(new RedisPockets(onMaster))).toMatchObject({ warning: null });
    await expect(testRedisForHolds(new RedisPockets(onReplica))).rejects.toThrow(/replica/);
  });
});

describeWithRedis('a Redis at the start', () => {
  let redis: RedisBench;

  beforeAll(async () => {
    redis = await RedisBench.start(bench);
  });

  afterAll(() => redis.stop());

  it('is taken if it tells its history', async () => {
    const { history, warning } = await testRedisForHolds(new RedisPockets(await redis.connect()));
    expect(history.history).toMatch(/^[0-9a-f]{40}$/);
    expect(warning).toBeNull();
  });

  it('a Redis that does not tell its history is refused at start with a clear message', async () => {
    const client = await redis.connect();
    await client.acl('SETUSER', 'default', '-info');
    try {
      const refused = testRedisForHolds(new RedisPockets(client));
      await expect(refused).rejects.toThrow(/INFO.*HOLD_STORE=postgres/);
      await expect(refused).rejects.toMatchObject({ name: 'RedisHoldsError' });
    } finally {
      await client.acl('SETUSER', 'default', '+info');
    }
  });
});

function portOf(redis: RedisBench): number {
  return Number(new URL(redis.server.url).port);
}

function runIdOf(info: string): string | undefined {
  return /run_id:(\w+)/.exec(info)?.[1];
}
