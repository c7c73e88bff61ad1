import {
  describeWithRedis,
  eventually,
  type BehaviourInput,
  type SeededInstallation,
} from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { PolicyBench, type Ending, type StoreName } from './billing-policy.spec-kit.js';
import { errorOf, events } from './gateway.spec-kit.js';

// Real: gateway in this process, Postgres, Redis, the fake upstream. Each case of docs/billing-policy.md that one gateway can
// show, with holds in Postgres and with holds in Redis: what the event says, what the ledger takes, and that nothing stays held.

const OPENING_NANO = 1_000_000_000n;
/** 13 tokens by the estimate: one for four bytes, three for the message. */
const PROMPT = 'x'.repeat(40);
const INPUT_NANO = 150n;
const OUTPUT_NANO = 600n;

interface PolicyCase {
  readonly name: string;
  readonly upstream: BehaviourInput;
  readonly body?: object;
  readonly headers?: Record<string, string>;
  readonly event: Readonly<Record<string, unknown>>;
  readonly paidNano: bigint;
}

const FAILED = { outcome: 'upstream_failed', billable: false, usageSource: 'none' };
const STREAM = { stream: true };
const IN_MID_STREAM = { chunks: 10, chunkBytes: 8, faultAfterChunks: 3, chunkDelayMs: 2 };

const CASES: readonly PolicyCase[] = [
  {
    name: 'a complete answer costs what the provider counted',
    upstream: { chunks: 7, promptTokens: 13 },
    event: { outcome: 'completed', usageSource: 'provider', units: { input: 13, output: 7 } },
    paidNano: 13n * INPUT_NANO + 7n * OUTPUT_NANO,
  },
  {
    name: 'a complete stream costs what the provider counted',
    upstream: { chunks: 7, promptTokens: 13 },
    body: STREAM,
    event: { outcome: 'completed', usageSource: 'provider', units: { input: 13, output: 7 } },
    paidNano: 13n * INPUT_NANO + 7n * OUTPUT_NANO,
  },
  {
    name: 'a truncated answer costs what was delivered of it',
    upstream: { chunks: 50, promptTokens: 13 },
    body: { max_tokens: 5 },
    event: { outcome: 'completed', usageSource: 'provider', units: { input: 13, output: 5 } },
    paidNano: 13n * INPUT_NANO + 5n * OUTPUT_NANO,
  },
  {
    name: 'an answer without reported usage costs the estimate',
    upstream: { chunks: 4, chunkBytes: 10, usage: 'none' },
    event: { outcome: 'completed', usageSource: 'estimated', units: { input: 13, output: 10 } },
    paidNano: 13n * INPUT_NANO + 10n * OUTPUT_NANO,
  },
  {
    name: 'usage that cannot be true is replaced by the estimate',
    upstream: { chunks: 4, chunkBytes: 10, usage: { prompt_tokens: -5, completion_tokens: 9 } },
    event: { outcome: 'completed', usageSource: 'estimated', units: { input: 13, output: 10 } },
    paidNano: 13n * INPUT_NANO + 10n * OUTPUT_NANO,
  },
  {
    name: 'an empty answer is free',
    upstream: { chunks: 0, promptTokens: 13 },
    event: { outcome: 'completed', usageSource: 'provider', billable: false },
    paidNano: 0n,
  },
  {
    name: 'explicit zero is zero',
    upstream: { chunks: 4, usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 } },
    event: { outcome: 'completed', usageSource: 'provider', billable: false },
    paidNano: 0n,
  },
  {
    name: 'an upstream that refuses costs nothing',
    upstream: { status: 500 },
    event: FAILED,
    paidNano: 0n,
  },
  {
    name: 'an upstream that breaks before the first token costs nothing',
    upstream: { fault: 'reset_after_head' },
    body: STREAM,
    event: FAILED,
    paidNano: 0n,
  },
  {
    name: 'an upstream that is too slow for its head costs nothing',
    upstream: { delayMs: 4_000 },
    headers: { 'x-stainless-timeout': '1' },
    event: { outcome: 'timeout', billable: false },
    paidNano: 0n,
  },
  {
    name: 'a stream that ends early costs input and what was delivered',
    upstream: { ...IN_MID_STREAM, fault: 'end_mid_stream' },
    body: STREAM,
    event: { outcome: 'upstream_failed', usageSource: 'partial', units: { input: 13, output: 6 } },
    paidNano: 13n * INPUT_NANO + 6n * OUTPUT_NANO,
  },
  {
    name: 'a stream that fails with an error costs input and what was delivered',
    upstream: { ...IN_MID_STREAM, fault: 'error_frame' },
    body: STREAM,
    event: { outcome: 'upstream_failed', usageSource: 'partial', units: { input: 13, output: 6 } },
    paidNano: 13n * INPUT_NANO + 6n * OUTPUT_NANO,
  },
];

describePolicy('Postgres', describe);
describePolicy('Redis', describeWithRedis);

function describePolicy(store: StoreName, describeStore: (name: string, tests: () => void) => void): void {
  describeStore(`what is paid, with holds in ${store}`, () => {
    const bench = new PolicyBench(store);
    const { gateway } = bench;

    beforeAll(() => bench.start());

    afterAll(() => bench.stop());

    beforeEach(async () => {
      await Promise.all([gateway.upstream.reset(), gateway.spare.reset()]);
    });

    afterEach(async () => expect(await bench.violations()).toEqual([]));

    const payer = (): Promise<SeededInstallation> => gateway.seed({ balanceNano: OPENING_NANO });

    const ask = (
      { apiKey, model }: SeededInstallation,
      more: object = {},
      options: { headers?: Record<string, string>; signal?: AbortSignal } = {},
    ): Promise<Response> =>
      gateway.post({ ...gateway.chat(PROMPT, more), model }, { key: apiKey, ...options });

    /** The gateway knows a model once its catalog does. */
    const askUntilServed = (who: SeededInstallation, more: object = {}): Promise<Response> =>
      eventually(async () => {
        const response = await ask(who, more);
        expect(response.status).toBe(200);
        return response;
      });

    function expectPaid(ending: Ending, costNano: bigint): void {
      const { event, settlement, paidNano } = ending;
      expect({ cost: BigInt(event.costNano), paidNano, ...settlement }).toMatchObject({
        cost: costNano,
        paidNano: costNano,
        chargedNano: costNano,
        absorbedNano: 0n,
      });
    }

    describe('of a request', () => {
      it.each(CASES)('$name', async ({ upstream, body = {}, headers = {}, event: expected, paidNano }) => {
        await gateway.upstream.behave(upstream);
        const response = await ask(await payer(), body, { headers });
        await response.text();
        const event = await bench.eventOf(response);
        expect(event).toMatchObject(expected);
        expectPaid(await bench.settle(event), paidNano);
      });

      it('a client that leaves before the first token pays the input', async () => {
        await gateway.upstream.behave({ held: true });
        const who = await payer();
        const abort = new AbortController();
        const pending = ask(who, {}, { signal: abort.signal });
        pending.catch(() => undefined);
        await gateway.upstream.waitForArrivals(1);
        abort.abort();
        await expect(pending).rejects.toThrow();
        const event = await bench.eventOfPayer(who);
        expect(event).toMatchObject({
          outcome: 'client_closed',
          usageSource: 'partial',
          units: { output: 0 },
        });
        expectPaid(await bench.settle(event), 13n * INPUT_NANO);
      });

      it('a client that leaves a stream pays input and what was forwarded', async () => {
        await gateway.upstream.behave({ fault: 'endless', chunkDelayMs: 5, chunkBytes: 40 });
        const abort = new AbortController();
        const response = await ask(await payer(), STREAM, { signal: abort.signal });
        const reader = response.body?.getReader();
        let text = '';
        while (events(whole(text)).length < 4) {
          text += Buffer.from((await reader?.read())?.value ?? []).toString();
        }
        abort.abort();
        const event = await bench.eventOf(response);
        expect(event).toMatchObject({ outcome: 'client_closed', usageSource: 'partial', billable: true });
        const { input = 0, output = 0 } = event.units;
        const received = events(whole(text)).map(({ choices }) => String(choices[0]?.delta?.content ?? ''));
        expect(input).toBe(13);
        expect(output).toBeGreaterThanOrEqual(Buffer.byteLength(received.join('')) / 4);
        const [delivery] = await eventually(async () => {
          const deliveries = await gateway.upstream.deliveries();
          expect(deliveries[0]).toMatchObject({ clientAborted: true });
          return deliveries;
        });
        expect(output).toBeLessThanOrEqual(Math.ceil((delivery?.contentBytes ?? 0) / 4));
        expectPaid(await bench.settle(event), 13n * INPUT_NANO + BigInt(output) * OUTPUT_NANO);
      });

      it('a stream that the balance cannot cover ends with length, and never costs more than the balance', async () => {
        const balanceNano = 1_800_000n;
        const poor = await gateway.seed({
          balanceNano,
          model: 'long-answers',
          upstreams: [gateway.upstream.baseUrl],
          outputTokensMax: 100_000,
        });
        await gateway.upstream.behave({ chunks: 8_000, chunkBytes: 3 });
        const response = await askUntilServed(poor, STREAM);
        const [finish, error] = events(await response.text()).slice(-2);
        expect(finish.choices[0]).toMatchObject({ finish_reason: 'length' });
        expect(error).toMatchObject({ error: { code: 'insufficient_quota' } });
        const event = await bench.eventOf(response);
        expect(event).toMatchObject({ outcome: 'cut_off', billable: true });
        expect(BigInt(event.costNano)).toBeLessThanOrEqual(balanceNano);
        expectPaid(await bench.settle(event), BigInt(event.costNano));
      });

      it('of two upstreams that were tried only the one that answered is paid', async () => {
        const two = await gateway.seed({
          balanceNano: OPENING_NANO,
          model: 'two-upstreams',
          upstreams: [gateway.upstream.baseUrl, gateway.spare.baseUrl],
        });
        await gateway.upstream.behave({ status: 503 });
        await gateway.spare.behave({ chunks: 3, promptTokens: 11 });
        const event = await bench.eventOf(await askUntilServed(two));
        expect(event).toMatchObject({ attempts: 2, deploymentId: two.deploymentIds[1] });
        expectPaid(await bench.settle(event), 11n * INPUT_NANO + 3n * OUTPUT_NANO);
        expect(await bench.usageRows(two)).toBe(2);
      });

      it("price or multiplier changed in flight: admission's wins", async () => {
        const who = await gateway.seed({
          balanceNano: OPENING_NANO,
          model: 'repriced',
          upstreams: [gateway.upstream.baseUrl],
        });
        await askUntilServed(who);
        await gateway.upstream.behaveNext({ chunks: 200, chunkDelayMs: 10, promptTokens: 13 });
        const running = await ask(who, STREAM);
        const reader = running.body?.getReader();
        await reader?.read();
        await gateway.owner.query(
          'INSERT INTO tollgate.price (id, model, rates, effective_from) VALUES ($1, $2, $3, now())',
          [uuidv7(), who.model, JSON.stringify({ input: '1000000', output: '1000000' })],
        );
        await gateway.owner.query('UPDATE tollgate.account SET multiplier_ppm = 3000000 WHERE id = $1', [
          who.accountId,
        ]);
        await gateway.upstream.behave({ chunks: 1, promptTokens: 1 });
        await eventually(async () => {
          const later = await bench.eventOf(await ask(who));
          expect(later).toMatchObject({ multiplierPpm: 3_000_000, costNano: '6000' });
        });
        while ((await reader?.read())?.done === false) continue;
        const event = await bench.eventOf(running);
        expect(event).toMatchObject({
          priceId: who.priceId,
          multiplierPpm: 1_000_000,
          units: { input: 13, output: 200 },
        });
        await bench.settleAll(who, event);
        expect((await bench.settle(event)).settlement.chargedNano).toBe(
          13n * INPUT_NANO + 200n * OUTPUT_NANO,
        );
      });

      it('what the balance does not cover is refused and costs nothing', async () => {
        const poor = await gateway.seed({ balanceNano: 1_000n });
        const refusal = await ask(poor);
        expect(refusal.status).toBe(429);
        expect(await refusal.json()).toMatchObject({ error: { code: 'insufficient_quota' } });
        expect(await gateway.upstream.arrivals()).toBe(0);
        expect(await bench.usageRows(poor)).toBe(0);
        await bench.expectNothingHeld(poor.accountId);
      });

      it('a model without a price is refused and costs nothing', async () => {
        const who = await payer();
        await gateway.owner.query("INSERT INTO tollgate.model (id) VALUES ('unpriced')");
        const refusal = await errorOf(await ask({ ...who, model: 'unpriced' }));
        expect(refusal).toMatchObject({ status: 404, error: { code: 'model_not_found' } });
        expect(await bench.usageRows(who)).toBe(0);
      });
    });
  });
}

/** The events of a text that are complete. */
function whole(text: string): string {
  return text.slice(0, text.lastIndexOf('\n\n') + 2);
}
