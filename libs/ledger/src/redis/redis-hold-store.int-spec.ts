import { createTestDatabase, describeWithRedis, type TestDatabase } from '@tollgate/testing';
import type { Redis } from 'ioredis';
import { v7 as uuidv7 } from 'uuid';
import type { EscrowGrant, EscrowLedger } from '../escrow-ledger.js';
import type { HoldResult } from '../hold-store.js';
import { LedgerBench, requestIds, touches, usageEvent } from '../ledger.spec-kit.js';
import { settleBatch } from '../settle-batch.js';
import { ANSWER_MAX_MS } from './hold-redis.js';
import { pocketKeys, shardOf } from './pocket-keys.js';
import type { RedisHoldStore } from './redis-hold-store.js';
import { RedisPockets } from './redis-pockets.js';
import { RedisBench } from './redis.spec-kit.js';

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

afterEach(async () => {
  expect(await bench.violations()).toEqual([]);
});

/** The real ledger, counting; each grant may be held up. */
class WatchedLedger implements EscrowLedger {
  grants = 0;
  /** Awaited between the grant in Postgres and its answer. */
  beforeAnswer: () => Promise<void> = () => Promise.resolve();

  constructor(private readonly real: EscrowLedger) {}

  async grant(accountId: string, escrowId: string, totalNano: bigint): Promise<EscrowGrant> {
    this.grants += 1;
    const grant = await this.real.grant(accountId, escrowId, totalNano);
    await this.beforeAnswer();
    return grant;
  }

  wanted(accountId: string): Promise<void> {
    return this.real.wanted(accountId);
  }

  shut(...args: Parameters<EscrowLedger['shut']>): Promise<void> {
    return this.real.shut(...args);
  }

  setAside(accountId: string): Promise<bigint> {
    return this.real.setAside(accountId);
  }
}

describeWithRedis('holds in Redis', () => {
  let redis: RedisBench;
  let client: Redis;
  let ledger: WatchedLedger;
  let store: RedisHoldStore;

  beforeAll(async () => {
    redis = await RedisBench.start(bench);
    client = await redis.connect();
  });

  beforeEach(() => {
    ledger = new WatchedLedger(redis.ledger);
    store = redis.newStore(client, ledger);
  });

  afterEach(() => store.shutdown());
  afterAll(() => redis.stop());

  const hold = (accountId: string, totalNano: bigint): Promise<HoldResult> =>
    store.hold({ requestId: uuidv7(), accountId, totalNano });

  describe('pockets', () => {
    it('are filled for four holds at least, so that most holds ask Postgres nothing', async () => {
      const accountId = await bench.newAccount(1_000n);
      expect(await hold(accountId, 10n)).toMatchObject({ outcome: 'held', availableNano: 990n });
      expect(await redis.escrows(accountId)).toMatchObject([{ state: 'open', granted: 50n }]);
      await hold(accountId, 10n);
      await hold(accountId, 10n);
      expect(ledger.grants).toBe(1);
    });

    it('are filled to what was spent lately, ahead of the need', async () => {
      const accountId = await bench.newAccount(10_000_000n);
      for (const requestId of requestIds(400)) {
        const held = await store.hold({ requestId, accountId, totalNano: 100n });
        expect(held).toMatchObject({ outcome: 'held' });
        await store.close(requestId, accountId, 100n);
      }
      await store.shutdown();
      // 40,000 spent: the pocket grows with that, so the round trips grow with its logarithm.
      expect(ledger.grants).toBeLessThan(25);
      const [escrow] = await redis.escrows(accountId);
      expect(escrow?.granted).toBeGreaterThan(40_000n);
      expect(escrow?.granted).toBeLessThanOrEqual(90_000n);
    });

    it('two gateways start a cold account: one escrow', async () => {
      const accountId = await bench.newAccount(1_000n);
      const other = redis.newStore(await redis.connect());
      const results = await Promise.all(
        requestIds(20).map((requestId, index) =>
          (index % 2 === 0 ? store : other).hold({ requestId, accountId, totalNano: 10n }),
        ),
      );
      expect(results.every(({ outcome }) => outcome === 'held')).toBe(true);
      await other.shutdown();
      expect(await redis.escrows(accountId)).toHaveLength(1);
    });

    it('fifty gateways refill at once: one total', async () => {
      const accountId = await bench.newAccount(1_000_000n);
      await hold(accountId, 10n);
      const gateways = Array.from({ length: 50 }, () => redis.newStore(client));
      const results = await Promise.all(
        gateways.map((gateway) => gateway.hold({ requestId: uuidv7(), accountId, totalNano: 10n })),
      );
      expect(results.every(({ outcome }) => outcome === 'held')).toBe(true);
      await Promise.all(gateways.map((gateway) => gateway.shutdown()));
      const [escrow] = await redis.escrows(accountId);
      // 51 holds of 10, and a target of four.
      expect(escrow?.granted).toBeLessThanOrEqual(560n);
    });

    it('a grant that arrives after shut fills nothing', async () => {
      const accountId = await bench.newAccount(100n);
      ledger.beforeAnswer = async () => {
        ledger.beforeAnswer = () => Promise.resolve();
        await redis.returnEscrows(client, accountId);
        expect(await bench.account(accountId)).toMatchObject({ held: 0n });
      };
      expect(await hold(accountId, 10n)).toMatchObject({ outcome: 'held' });
      const escrows = await redis.escrows(accountId);
      expect(escrows.map(({ state }) => state)).toEqual(['closed', 'open']);
      const pocket = await redis.pocket(client, accountId);
      expect(pocket).toMatchObject({ escrow: escrows[1]?.id, granted: '50' });
    });

    it('a grant of an older escrow fills nothing', async () => {
      const accountId = await bench.newAccount(100n);
      await hold(accountId, 10n);
      const [old] = await redis.escrows(accountId);
      await redis.returnEscrows(client, accountId);
      await hold(accountId, 10n);
      const before = await redis.pocket(client, accountId);
      const late = { grantedNano: 100n, availableNano: 0n };
      expect(await new RedisPockets(client).grant(accountId, old?.id ?? '', late)).toBe(false);
      expect(await redis.pocket(client, accountId)).toEqual(before);
    });

    it('an older total of the same escrow lowers nothing', async () => {
      const accountId = await bench.newAccount(100n);
      await hold(accountId, 10n);
      const [escrow] = await redis.escrows(accountId);
      await new RedisPockets(client).grant(accountId, escrow?.id ?? '', {
        grantedNano: 20n,
        availableNano: 80n,
      });
      expect(await redis.pocket(client, accountId)).toMatchObject({ granted: '50', available: '50' });
    });

    it('a grant whose way to Redis was lost is covered by the next total', async () => {
      const accountId = await bench.newAccount(60n);
      ledger.beforeAnswer = () => Promise.reject(new Error('the gateway dies here'));
      await expect(hold(accountId, 10n)).rejects.toThrow('the gateway dies here');
      ledger.beforeAnswer = () => Promise.resolve();
      expect(await hold(accountId, 60n)).toMatchObject({ outcome: 'held', availableNano: 0n });
      expect(await redis.escrows(accountId)).toMatchObject([{ granted: 60n }]);
    });
  });

  describe('an empty account', () => {
    it('an empty account asks Postgres once a second', async () => {
      const accountId = await bench.newAccount(100n);
      await hold(accountId, 100n);
      const before = ledger.grants;
      const begunAtMs = performance.now();
      while (performance.now() - begunAtMs < 1_500) {
        expect(await hold(accountId, 1n)).toEqual({ outcome: 'refused', availableNano: 0n });
      }
      const seconds = Math.ceil((performance.now() - begunAtMs) / 1_000);
      expect(ledger.grants - before).toBeLessThanOrEqual(seconds);
    });

    it('is looked at again when its balance changed', async () => {
      const accountId = await bench.newAccount(0n);
      expect(await hold(accountId, 10n)).toMatchObject({ outcome: 'refused' });
      await bench.topUp(accountId, 10n);
      expect(await hold(accountId, 10n)).toMatchObject({ outcome: 'refused' });
      store.forgetEmpty();
      expect(await hold(accountId, 10n)).toMatchObject({ outcome: 'held' });
    });

    it('spends what a closed hold gave back to its pocket, without asking Postgres', async () => {
      const accountId = await bench.newAccount(100n);
      const requestId = uuidv7();
      await store.hold({ requestId, accountId, totalNano: 100n });
      expect(await hold(accountId, 50n)).toMatchObject({ outcome: 'refused' });
      await store.close(requestId, accountId, 20n);
      expect(await hold(accountId, 81n)).toEqual({ outcome: 'refused', availableNano: 80n });
      expect(await hold(accountId, 80n)).toMatchObject({ outcome: 'held' });
    });

    it('suspended account gets no grant', async () => {
      const accountId = await bench.newAccount(100n);
      await bench.owner.query(`UPDATE tollgate.account SET status = 'suspended' WHERE id = $1`, [accountId]);
      expect(await hold(accountId, 10n)).toMatchObject({ outcome: 'refused' });
      expect(await redis.escrows(accountId)).toEqual([]);
    });
  });

  describe('a hot account', () => {
    it('serves a thousand requests at once: nobody refused while there is enough', async () => {
      const accountId = await bench.newAccount(1_000_000n);
      const other = redis.newStore(await redis.connect());
      const results = await Promise.all(
        requestIds(1_000).map((requestId, index) =>
          (index % 2 === 0 ? store : other).hold({ requestId, accountId, totalNano: 1_000n }),
        ),
      );
      expect(results.filter(({ outcome }) => outcome === 'held')).toHaveLength(1_000);
      await other.shutdown();
      expect(ledger.grants).toBeLessThan(50);
    });

    it('serves exactly as many of a thousand at once as the balance pays', async () => {
      const accountId = await bench.newAccount(300_000n);
      const other = redis.newStore(await redis.connect());
      const ids = requestIds(1_000);
      const results = await Promise.all(
        ids.map((requestId, index) =>
          (index % 2 === 0 ? store : other).hold({ requestId, accountId, totalNano: 1_000n }),
        ),
      );
      expect(results.filter(({ outcome }) => outcome === 'held')).toHaveLength(300);
      expect(results.filter(({ outcome }) => outcome === 'refused')).toHaveLength(700);
      await other.shutdown();
      const events = ids.flatMap((requestId, index) => {
        const result = results[index];
        if (result?.outcome !== 'held' || result.escrowId === null) return [];
        return [usageEvent(accountId, 1_000n, { requestId, escrowId: result.escrowId })];
      });
      const settled = [
        await settleBatch(bench.sql, events.slice(0, 200)),
        await settleBatch(bench.sql, events.slice(200)),
      ];
      expect(settled.flat().every(({ absorbedNano }) => absorbedNano === 0n)).toBe(true);
      expect(await bench.account(accountId)).toMatchObject({ posted: 0n, held: 0n });
    });
  });

  describe('holds', () => {
    it('carry their checkpoint until they expire, and say whose they are', async () => {
      const accountId = await bench.newAccount(1_000n);
      const [requestId = '', silent = '', closed = ''] = requestIds(3);
      for (const id of [requestId, silent, closed]) {
        await store.hold({ requestId: id, accountId, totalNano: 10n });
      }
      const checkpoint = usageEvent(accountId, 7n, { requestId, swept: true, model: 'a|b' });
      await store.touch([{ requestId, accountId, checkpoint }]);
      await store.touch(touches(accountId, [requestId]));
      await store.hold({ requestId, accountId, totalNano: 20n });
      await store.close(closed, accountId, 10n);
      const found = await expireAll(client, accountId);
      const [escrow] = await redis.escrows(accountId);
      const common = { accountId, escrowId: escrow?.id };
      expect(found).toHaveLength(2);
      expect(found).toEqual(
        expect.arrayContaining([
          { ...common, requestId, totalNano: 20n, checkpoint },
          { ...common, requestId: silent, totalNano: 10n, checkpoint: null },
        ]),
      );
      for (const id of [requestId, silent]) await store.close(id, accountId, 0n);
      expect(await expireAll(client, accountId)).toEqual([]);
    });

    it('of a pocket that was shut count as moved, and are held again in the next one', async () => {
      const accountId = await bench.newAccount(100n);
      const requestId = uuidv7();
      const first = await store.hold({ requestId, accountId, totalNano: 10n });
      await redis.returnEscrows(client, accountId);
      expect((await store.touch(touches(accountId, [requestId]))).get(requestId)).toBe('moved');
      const second = await store.hold({ requestId, accountId, totalNano: 10n });
      expect(second).toMatchObject({ outcome: 'held', grantedNano: 10n });
      expect(second).not.toMatchObject({ escrowId: first.outcome === 'held' ? first.escrowId : '' });
      expect((await store.touch(touches(accountId, [requestId]))).get(requestId)).toBe('open');
    });

    it('Redis at maxmemory: close still works', async () => {
      const accountId = await bench.newAccount(100n);
      const [requestId = '', more = ''] = requestIds(2);
      await store.hold({ requestId, accountId, totalNano: 60n });
      await client.config('SET', 'maxmemory', '1mb');
      try {
        await expect(store.hold({ requestId: more, accountId, totalNano: 1n })).rejects.toMatchObject({
          name: 'HoldStoreUnavailableError',
        });
        expect((await store.touch(touches(accountId, [requestId]))).get(requestId)).toBe('open');
        await store.close(requestId, accountId, 60n);
        const [escrow] = await redis.escrows(accountId);
        expect(await new RedisPockets(client).shut(accountId, escrow?.id ?? '')).toEqual({
          spentNano: 60n,
          heldNano: 0n,
        });
      } finally {
        await client.config('SET', 'maxmemory', '0');
      }
    });

    it('wait for nobody when Redis hangs', async () => {
      const accountId = await bench.newAccount(100n);
      const impatient = redis.newStore(await redis.connect(ANSWER_MAX_MS), ledger);
      const [first = '', second = ''] = requestIds(2);
      await impatient.hold({ requestId: first, accountId, totalNano: 10n });
      redis.server.signal('SIGSTOP');
      try {
        await expect(impatient.hold({ requestId: second, accountId, totalNano: 10n })).rejects.toMatchObject({
          name: 'HoldStoreUnavailableError',
        });
      } finally {
        redis.server.signal('SIGCONT');
      }
    });
  });
});

/** The account's overdue holds, once time has passed for all of them. */
async function expireAll(client: Redis, accountId: string) {
  const { deadlines } = pocketKeys(accountId);
  for (const member of await client.zrange(deadlines, 0, -1)) await client.zadd(deadlines, 1, member);
  const found = await new RedisPockets(client).expired(shardOf(accountId), 100);
  return found.filter((expired) => expired.accountId === accountId);
}
