import { setTimeout as delay } from 'node:timers/promises';
import { createTestDatabase, describeWithRedis, type TestDatabase } from '@tollgate/testing';
import { Cluster, type Redis } from 'ioredis';
import { v7 as uuidv7 } from 'uuid';
import { LedgerBench, touches } from '../ledger.spec-kit.js';
import { HoldTraffic } from './hold-traffic.spec-kit.js';
import { pocketKeys, shardOf } from './pocket-keys.js';
import { RedisHoldStore } from './redis-hold-store.js';
import { RedisPockets } from './redis-pockets.js';
import { RedisBench } from './redis.spec-kit.js';

// Real: Postgres, as the application role; a Redis cluster of three nodes.

const SLOTS = 16_384;

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

describeWithRedis('a cluster', () => {
  let nodes: RedisBench[];
  let first: RedisBench;
  let direct: Redis[];
  let cluster: Cluster;
  let store: RedisHoldStore;

  beforeAll(async () => {
    first = await startNode(0);
    nodes = [first, await startNode(1), await startNode(2)];
    direct = await Promise.all(nodes.map((node) => node.connect()));
    await joinNodes(nodes, direct);
    cluster = new Cluster(nodes.map((node) => ({ host: '127.0.0.1', port: portOf(node) })));
    cluster.on('error', () => undefined);
    store = new RedisHoldStore(new RedisPockets(cluster), first.ledger);
  });

  afterAll(async () => {
    await store.shutdown();
    cluster.disconnect();
    await Promise.all(nodes.map((node) => node.stop()));
  });

  it('three-node cluster: no pocket is replaced while nothing fails', async () => {
    const accounts = await Promise.all(Array.from({ length: 9 }, () => bench.newAccount(10_000n)));
    expect(new Set(accounts.map(shardOf)).size).toBeGreaterThan(1);
    const traffic = new HoldTraffic(bench, [store], accounts);
    const endsAtMs = performance.now() + 1_000;
    await traffic.run(8, () => performance.now() > endsAtMs);
    expect(traffic.outcomes).toMatchObject({ set_aside: 0, unavailable: 0, heldAgain: 0 });
    for (const accountId of accounts) {
      expect((await first.escrows(accountId)).length).toBeLessThanOrEqual(1);
    }
  });

  it('slot migrated to another node: one refill, nothing lost', async () => {
    const accountId = await bench.newAccount(1_000n);
    const requestId = uuidv7();
    await store.hold({ requestId, accountId, totalNano: 10n });
    await store.hold({ requestId: uuidv7(), accountId, totalNano: 10n });
    await moveSlot(direct, await cluster.cluster('KEYSLOT', pocketKeys(accountId).pocket));
    expect((await store.touch(touches(accountId, [requestId]))).get(requestId)).toBe('moved');
    expect(await store.hold({ requestId, accountId, totalNano: 10n })).toMatchObject({ outcome: 'held' });
    expect((await store.touch(touches(accountId, [requestId]))).get(requestId)).toBe('open');
    expect((await first.escrows(accountId)).map(({ state }) => state)).toEqual(['closing', 'open']);
    expect(await new RedisPockets(cluster).expired(shardOf(accountId), 10)).toEqual([]);
  });
});

function startNode(index: number): Promise<RedisBench> {
  // The default bus port, the port and 10,000, may be beyond what there is.
  const busPort = 20_000 + (process.pid % 4_000) * 3 + index;
  return RedisBench.start(bench, ['--cluster-enabled', 'yes', '--cluster-port', String(busPort)]);
}

async function joinNodes(nodes: readonly RedisBench[], direct: readonly Redis[]): Promise<void> {
  for (const [index, node] of direct.entries()) {
    const share = (part: number): number => Math.floor((SLOTS * part) / direct.length);
    await node.call('CLUSTER', 'ADDSLOTSRANGE', share(index), share(index + 1) - 1);
    await node.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
  }
  const busPorts = await Promise.all(
    direct.map(async (node) => String(((await node.config('GET', 'cluster-port')) as string[])[1])),
  );
  for (const [index, node] of nodes.entries()) {
    await direct[0]?.call('CLUSTER', 'MEET', '127.0.0.1', portOf(node), busPorts[index] ?? '');
  }
  for (const node of direct) {
    while (!/cluster_state:ok[\s\S]*cluster_known_nodes:3/.test(String(await node.call('CLUSTER', 'INFO')))) {
      await delay(50);
    }
  }
}

/** Hands a slot with its keys from the node that has it to the next one. */
async function moveSlot(direct: readonly Redis[], slot: unknown): Promise<void> {
  const slotText = String(slot);
  const ids = await Promise.all(direct.map(async (node) => String(await node.call('CLUSTER', 'MYID'))));
  const index = Math.floor((Number(slotText) * direct.length) / SLOTS);
  const [from, to] = [direct[index], direct[(index + 1) % direct.length]];
  const [fromId = '', toId = ''] = [ids[index], ids[(index + 1) % direct.length]];
  if (from === undefined || to === undefined) throw new Error('no such node');
  await to.call('CLUSTER', 'SETSLOT', slotText, 'IMPORTING', fromId);
  await from.call('CLUSTER', 'SETSLOT', slotText, 'MIGRATING', toId);
  const keys = (await from.call('CLUSTER', 'GETKEYSINSLOT', slotText, '100')) as string[];
  const { port } = to.options;
  await from.call('MIGRATE', '127.0.0.1', String(port), '', '0', '1000', 'KEYS', ...keys);
  for (const node of direct) await node.call('CLUSTER', 'SETSLOT', slotText, 'NODE', toId);
}

function portOf(redis: RedisBench): number {
  return Number(new URL(redis.server.url).port);
}
