import { setTimeout as delay } from 'node:timers/promises';
import { describeWithRedis, eventually, marker, type SeededInstallation } from '@tollgate/testing';
import {
  GatewayProcesses,
  LossyWay,
  requestIdOf,
  type GatewayProcess,
  type StoreName,
} from './gateway-processes.spec-kit.js';

// Gateways and billing as processes that are killed and frozen, with a tenth of every deadline; Postgres, Redis and both queues
// are real.

const PATIENCE_MS = 60_000;
jest.setTimeout(150_000);

const slowly = { chunks: 2_000, chunkDelayMs: 50 };

/** Reads a stream to its end, however it ends. */
async function readAll(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  try {
    for await (const piece of response.body ?? []) text += decoder.decode(piece, { stream: true });
  } catch {
    // Its gateway was killed.
  }
  return text;
}

function user(name: string): object {
  return { messages: [{ role: 'user', content: marker(name) }] };
}

const STORES: readonly StoreName[] = ['redis', 'postgres'];

describeWithRedis('gateways with their holds in Redis, and in Postgres', () => {
  const benches = STORES.map((store) => new GatewayProcesses(store));
  /** All of it is waiting for deadlines: that is done for both at once. */
  const inBoth = async (work: (bench: GatewayProcesses) => Promise<void>): Promise<void> => {
    const failed = (store: StoreName) => (cause: unknown) => {
      throw new Error(`with holds in ${store}: ${String(cause)}`, { cause });
    };
    await Promise.all(benches.map((bench) => work(bench).catch(failed(bench.store))));
  };

  beforeAll(() =>
    inBoth(async (bench) => {
      await bench.start();
      bench.startBilling();
    }),
  );
  afterAll(() =>
    inBoth(async (bench) => {
      await bench.expectSoundBooks();
      await bench.stop();
    }),
  );

  it('a frozen gateway that wakes after the sweep ends its stream and its event wins', () =>
    inBoth(testFrozen));
  it('a killed gateway has its streams paid by their last checkpoint', () => inBoth(testKilledInStream));
  it('a hold without a checkpoint expires free', () => inBoth(testKilledBefore));
  it("a dead gateway's parallel slot is free after its hold", () => inBoth(testParallelSlot));
});

function untilFree(bench: GatewayProcesses, seeded: SeededInstallation): Promise<void> {
  return eventually(async () => expect((await bench.holdsOf(seeded)).size).toBe(0), PATIENCE_MS);
}

/** A stream whose hold has a checkpoint. */
async function beginStream(
  bench: GatewayProcesses,
  { gateway, name, payer }: { gateway: GatewayProcess; name: string; payer: SeededInstallation },
): Promise<{ requestId: string; reading: Promise<string> }> {
  const response = await bench.ask(gateway, { stream: true, ...user(name) }, payer);
  if (response.status !== 200) throw new Error(`${String(response.status)}: ${await response.text()}`);
  const requestId = requestIdOf(response);
  const reading = readAll(response);
  let text: string | null = null;
  void reading.then((all) => (text = all));
  await eventually(async () => {
    const checkpoint = (await bench.holdsOf(payer)).get(requestId);
    if (text !== null) throw new Error(`the stream is over: ${text.slice(-500)}`);
    expect(checkpoint).toMatchObject({ swept: true, outcome: 'cut_off' });
  }, PATIENCE_MS);
  return { requestId, reading };
}

async function testFrozen(bench: GatewayProcesses): Promise<void> {
  const frozen = await bench.startGateway();
  const payer = await bench.seedServed([frozen], { model: 'frozen-chat' });
  await bench.upstream.behaveFor('frozen', slowly);
  const { requestId, reading } = await beginStream(bench, { gateway: frozen, name: 'frozen', payer });
  frozen.process.signal('SIGSTOP');
  await eventually(
    async () => expect((await bench.bookedOf(requestId)).records).toEqual(['swept']),
    PATIENCE_MS,
  );
  const sweptNano = await bench.paidBy(payer);
  expect(sweptNano).toBeGreaterThan(0n);

  frozen.process.signal('SIGCONT');
  const text = await reading;
  expect(text).toContain('"code":"billing_unavailable"');
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  await eventually(
    async () => expect((await bench.bookedOf(requestId)).records).toEqual(['true', 'swept']),
    PATIENCE_MS,
  );
  const { transfers } = await bench.bookedOf(requestId);
  const trueNano = await bench.paidBy(payer);
  expect(trueNano).toBeGreaterThanOrEqual(sweptNano);
  expect(transfers).toEqual([
    `swept ${String(sweptNano)}`,
    `reversal ${String(sweptNano)}`,
    `usage ${String(trueNano)}`,
  ]);
  await untilFree(bench, payer);
}

async function testKilledInStream(bench: GatewayProcesses): Promise<void> {
  // The second lives on, and adopts the journal of the first.
  const [killed] = await Promise.all([bench.startGateway(), bench.startGateway()]);
  const payer = await bench.seedServed([killed], { model: 'killed-chat' });
  await bench.upstream.behaveFor('killed', slowly);
  const { requestId, reading } = await beginStream(bench, { gateway: killed, name: 'killed', payer });
  // The next ones have more in them than the first.
  await delay(3_000);
  await killed.process.kill();
  const deliveredBytes = Buffer.byteLength(contentOf(await reading));
  await eventually(
    async () => expect((await bench.bookedOf(requestId)).records).toEqual(['swept']),
    PATIENCE_MS,
  );
  await untilFree(bench, payer);
  const { rows } = await bench.owner.query<{
    units: { input: number; output: number };
    source: string;
  }>('SELECT units, usage_source AS source FROM tollgate.usage_record WHERE request_id = $1', [requestId]);
  expect(rows).toMatchObject([{ source: 'partial', units: { input: expect.any(Number) } }]);
  expect(rows[0]?.units.output).toBeGreaterThan(1);
  expect(rows[0]?.units.output).toBeLessThanOrEqual(Math.ceil(deliveredBytes / 4));
}

async function testKilledBefore(bench: GatewayProcesses): Promise<void> {
  const killed = await bench.startGateway();
  const payer = await bench.seedServed([killed], { model: 'free-chat' });
  await bench.upstream.behaveFor('free', { held: true });
  const asked = bench.ask(killed, { stream: true, ...user('free') }, payer).catch(() => null);
  const [[requestId = '', checkpoint] = []] = await eventually(async () => {
    const holds = [...(await bench.holdsOf(payer))];
    expect(holds).toHaveLength(1);
    return holds;
  });
  expect(checkpoint).toBeNull();
  await killed.process.kill();
  await asked;
  await untilFree(bench, payer);
  expect(await bench.bookedOf(requestId)).toEqual({ records: [], transfers: [] });
  expect(await bench.paidBy(payer)).toBe(0n);
}

async function testParallelSlot(bench: GatewayProcesses): Promise<void> {
  const [killed, survivor] = await Promise.all([bench.startGateway(), bench.startGateway()]);
  // Enough for one request of 1,000 tokens at a time, and not for 256 more beside it.
  const payer = await bench.seedServed([killed, survivor], {
    model: 'narrow-chat',
    outputTokensMax: 1_000,
    balanceNano: 700_000n,
  });
  await bench.upstream.behaveFor('narrow', { held: true });
  const asked = bench.ask(killed, user('narrow'), payer).catch(() => null);
  await eventually(async () => expect((await bench.holdsOf(payer)).size).toBe(1));
  await killed.process.kill();
  await asked;
  const refused = await bench.ask(survivor, {}, payer);
  expect(refused.status).toBe(429);
  expect(await refused.json()).toMatchObject({ error: { code: 'insufficient_quota' } });
  const served = await eventually(async () => {
    const response = await bench.ask(survivor, {}, payer);
    expect(response.status).toBe(200);
    return response;
  }, PATIENCE_MS);
  await served.text();
  await untilFree(bench, payer);
}

/** The text of a stream's deltas. */
function contentOf(stream: string): string {
  return [...stream.matchAll(/"content":("(?:[^"\\]|\\.)*")/g)]
    .map(([, json = '""']) => String(JSON.parse(json)))
    .join('');
}

describeWithRedis('a way to Redis that loses answers', () => {
  const bench = new GatewayProcesses('redis');
  let way: LossyWay;
  let gateway: GatewayProcess;

  beforeAll(async () => {
    await bench.start();
    bench.startBilling();
    way = await LossyWay.to(bench.redis.url);
    gateway = await bench.startGateway(way.redisUrl);
  });

  afterAll(async () => {
    await bench.expectSoundBooks();
    way?.close();
    await bench.stop();
  });

  it('a hold whose reply was lost costs nothing', async () => {
    expect((await bench.ask(gateway, {})).status).toBe(200);
    await eventually(async () => expect((await bench.holdsOf(bench.seeded)).size).toBe(0));
    await bench.upstream.behaveFor('served', { held: true });
    await bench.upstream.behaveFor('killed', { held: true });

    way.loseAnswers();
    const before = await bench.upstream.arrivals();
    const served = bench.ask(gateway, user('served'));
    await bench.upstream.waitForArrivals(before + 1);
    // Redis has placed it, and nobody knows: the request goes on with a hold in Postgres.
    expect([...(await bench.pocketHoldsOf(bench.seeded)).values()]).toEqual([null]);
    await bench.upstream.release();
    const response = await served;
    expect(response.status).toBe(200);
    const charged = response.headers.get('x-credits-charged') ?? '';
    const requestId = requestIdOf(response);
    await eventually(async () =>
      expect((await bench.bookedOf(requestId)).transfers).toEqual([`usage ${String(toNano(charged))}`]),
    );

    const killed = bench.ask(gateway, user('killed')).catch(() => null);
    await bench.upstream.waitForArrivals(before + 2);
    const paidNano = await bench.paidBy(bench.seeded);
    await gateway.process.kill();
    await killed;
    way.heal();
    await eventually(async () => expect((await bench.holdsOf(bench.seeded)).size).toBe(0), PATIENCE_MS);
    await eventually(async () => {
      const { rows } = await bench.owner.query(
        "SELECT id FROM tollgate.reservation WHERE kind = 'request' AND state = 'open'",
      );
      expect(rows).toEqual([]);
    }, PATIENCE_MS);
    expect(await bench.paidBy(bench.seeded)).toBe(paidNano);
  });
});

/** Nano-credits of an amount in credits, as a header says it. */
function toNano(credits: string): bigint {
  const [whole = '0', fraction = ''] = credits.split('.');
  return BigInt(whole + fraction.padEnd(9, '0'));
}
