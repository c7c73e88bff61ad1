import { MasterKey } from '@tollgate/runtime';
import {
  createTestDatabase,
  describeWithRedis,
  eventually,
  startRedis,
  type TestRedis,
} from '@tollgate/testing';
import { pocketKeys } from '@tollgate/ledger';
import { Redis } from 'ioredis';
import { GatewayBench, events } from './gateway.spec-kit.js';
import { SourceProcess } from './journal/journal.spec-kit.js';

// Real: gateway in this process, Postgres, Redis, the fake upstream.

async function escrows(bench: GatewayBench): Promise<{ id: string; state: string }[]> {
  const { rows } = await bench.owner.query<{ id: string; state: string }>(
    `SELECT id, state FROM tollgate.reservation WHERE kind = 'escrow'`,
  );
  return rows;
}

const answer = (bench: GatewayBench) => bench.post(bench.chat());

let redis: TestRedis;
let bench: GatewayBench;

/** A gateway and a Redis for each test: what one leaves in a pocket is no business of the next. */
function startForEach(): void {
  beforeEach(async () => {
    redis = await startRedis();
    bench = new GatewayBench();
    await bench.start({ REDIS_URL: redis.url, HOLD_STORE: 'redis' });
  });

  afterEach(async () => {
    await bench.stop();
    await redis.remove();
  });
}

/** Until the gateway is back on a Redis that was away: a queue that is closed before goes on connecting for ever. */
async function untilQueueIsBack(): Promise<void> {
  const client = new Redis(redis.url);
  const before = await client.keys('bull:*:u-*');
  await eventually(async () => {
    expect((await answer(bench)).status).toBe(200);
    expect((await client.keys('bull:*:u-*')).length).toBeGreaterThan(before.length);
  });
  client.disconnect();
}

describeWithRedis('a gateway with its holds in Redis', () => {
  startForEach();

  it('serves from a pocket, and names its escrow in the usage event', async () => {
    expect((await answer(bench)).status).toBe(200);
    const [escrow] = await escrows(bench);
    expect(escrow).toMatchObject({ state: 'open' });
    const queue = new Redis(redis.url);
    await eventually(async () => {
      const jobs = await Promise.all((await queue.keys('bull:*:u-*')).map((key) => queue.hget(key, 'data')));
      expect(jobs.join()).toContain(`"escrowId":"${escrow?.id ?? ''}"`);
    });
    queue.disconnect();
  });

  it('the first byte of an answer puts a checkpoint beside its hold at once', async () => {
    await bench.upstream.behave({ chunks: 200, chunkDelayMs: 50 });
    const leaving = new AbortController();
    const response = await bench.post(bench.chat('hello', { stream: true }), { signal: leaving.signal });
    const client = new Redis(redis.url);
    // Holds are renewed every twenty seconds, so this is the first one's own renewal.
    await eventually(async () => {
      const [hold = ''] = await client.hvals(pocketKeys(bench.seeded.accountId).holds);
      const checkpoint = JSON.parse(hold.split('|').slice(2).join('|'));
      expect(checkpoint).toMatchObject({
        accountId: bench.seeded.accountId,
        outcome: 'cut_off',
        usageSource: 'partial',
        swept: true,
      });
      expect(BigInt(checkpoint.costNano)).toBeGreaterThan(0n);
    }, 10_000);
    leaving.abort();
    await response.text().catch(() => undefined);
    client.disconnect();
  });

  it('hold after a refill is counted once against the limits', async () => {
    await bench.upstream.behave({ held: true });
    // The account has no pocket yet: the hold comes up short, the pocket is filled, and the hold is placed.
    const answered = answer(bench);
    await bench.upstream.waitForArrivals(1);
    const client = new Redis(redis.url);
    expect(await client.hlen(pocketKeys(bench.seeded.accountId).holds)).toBe(1);
    client.disconnect();
    const metrics = await (await fetch(`${bench.baseUrl}/metrics`)).text();
    for (const line of [
      'tollgate_gateway_requests_in_flight 1',
      'tollgate_gateway_live_holds 1',
      'tollgate_gateway_holds_total{result="placed"} 1',
      'tollgate_gateway_hold_refills_total{result="filled"} 1',
    ]) {
      expect(metrics).toContain(`\n${line}\n`);
    }
    await bench.upstream.release();
    expect((await answered).status).toBe(200);
  });
});

describeWithRedis('a gateway with its holds in a Redis that goes away', () => {
  startForEach();

  it('Redis down: holds close and accounts are debited through Postgres', async () => {
    await bench.upstream.behave({ chunks: 30, chunkDelayMs: 100 });
    const running = await bench.post(bench.chat('hello', { stream: true }));
    await redis.stop('SIGKILL');
    const during = await answer(bench);
    const answers = [running, during];
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(events(await running.text()).at(-1)).not.toHaveProperty('error');
    await during.text();
    // There is no billing process: the gateway settles by itself.
    await eventually(async () => {
      const { rows } = await bench.owner.query(
        `SELECT count(*)::int AS records, count(t.id)::int AS debits
           FROM tollgate.usage_record u LEFT JOIN tollgate.transfer t ON t.ref_id = u.request_id AND t.kind = 'usage'`,
      );
      expect(rows).toEqual([{ records: 2, debits: 2 }]);
    });
    const { rows } = await bench.owner.query(`SELECT state FROM tollgate.reservation WHERE kind = 'request'`);
    // The first one's hold was gone with Redis, and was placed again in Postgres if its renewal noticed.
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.filter(({ state }) => state !== 'closed')).toEqual([]);
    await redis.start();
    const client = new Redis(redis.url);
    await eventually(async () => expect(await client.hlen(pocketKeys(bench.seeded.accountId).holds)).toBe(0));
    client.disconnect();
    const violations = await bench.owner.query('SELECT * FROM tollgate.ledger_violation');
    expect(violations.rows).toEqual([]);
    await untilQueueIsBack();
  });

  it('serves on while Redis is away', async () => {
    expect((await answer(bench)).status).toBe(200);
    await redis.stop('SIGKILL');
    expect((await answer(bench)).status).toBe(200);
    await redis.start();
    await untilQueueIsBack();
  });
});

describeWithRedis('a Redis with a user, a password and a database of its own', () => {
  it('has queue and pockets by the same REDIS_URL', async () => {
    const redis = await startRedis(['--user', 'app', 'on', '>p@ss/word', '~*', '&*', '+@all']);
    const bench = new GatewayBench();
    const url = `${redis.url.replace('//', '//app:p%40ss%2Fword@')}/3`;
    await bench.start({ REDIS_URL: url, HOLD_STORE: 'redis' });
    expect((await answer(bench)).status).toBe(200);
    const client = new Redis(url);
    await eventually(async () => {
      expect(await client.exists(pocketKeys(bench.seeded.accountId).pocket)).toBe(1);
      expect(await client.keys('bull:*:u-*')).toHaveLength(1);
    });
    client.disconnect();
    await bench.stop();
    await redis.remove();
  });
});

describeWithRedis('a Redis that cannot carry holds', () => {
  it('is refused at start, with what to do', async () => {
    const [database, redis] = await Promise.all([
      createTestDatabase(),
      startRedis(['--user', 'default', 'on', 'nopass', '~*', '&*', '+@all', '-evalsha', '-eval']),
    ]);
    const gateway = SourceProcess.start('apps/gateway/src/main.ts', {
      environment: {
        PORT: '0',
        DATABASE_URL: database.appUrl,
        MASTER_KEY: MasterKey.generate(),
        REDIS_URL: redis.url,
        HOLD_STORE: 'redis',
      },
    });
    let output = '';
    gateway.child.stdout.on('data', (piece) => (output += String(piece)));
    expect(await gateway.exited).not.toBe(0);
    expect(output + gateway.output).toContain('HOLD_STORE=postgres');
    await redis.remove();
    await database.drop();
  }, 60_000);
});
