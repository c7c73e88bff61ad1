import { eventually, describeWithRedis } from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { PolicyBench } from './billing-policy.spec-kit.js';

// Real: gateway in this process, Postgres, Redis, the fake upstream. Only the gateway's clock is wrong; timers run as ever.

const HOUR_MS = 3_600_000;
/** 13 input tokens and 7 output tokens at the price that is in force by Postgres' clock. */
const COST_NANO = 6_150n;

const TIMERS = [
  'hrtime',
  'nextTick',
  'performance',
  'queueMicrotask',
  'setImmediate',
  'clearImmediate',
  'setInterval',
  'clearInterval',
  'setTimeout',
  'clearTimeout',
] as const;

describeWithRedis('a gateway whose clock is wrong', () => {
  afterEach(() => void jest.useRealTimers());

  it.each([
    ['an hour fast', HOUR_MS, 'Postgres'],
    ['an hour fast', HOUR_MS, 'Redis'],
    ['an hour slow', -HOUR_MS, 'Postgres'],
    ['an hour slow', -HOUR_MS, 'Redis'],
  ] as const)(
    'gateway clock ±1 h: same price, same charge (%s, %i ms, holds in %s)',
    async (_, skewMs, store) => {
      jest.useFakeTimers({ now: Date.now() + skewMs, advanceTimers: true, doNotFake: [...TIMERS] });
      const bench = new PolicyBench(store);
      const { gateway } = bench;
      await bench.start();
      try {
        const { model, priceId, accountId } = gateway.seeded;
        const addPrice = async (from: string, rates: object): Promise<string> => {
          const id = uuidv7();
          await gateway.owner.query(
            'INSERT INTO tollgate.price (id, model, rates, effective_from) VALUES ($1, $2, $3, now() + $4::interval)',
            [id, model, JSON.stringify(rates), from],
          );
          return id;
        };
        await addPrice('-30 minutes', { input: '1', output: '1' });
        await addPrice('30 minutes', { input: '9000000', output: '9000000' });
        await gateway.upstream.behave({ chunks: 7, promptTokens: 13 });
        const event = await bench.eventOf(await gateway.post(gateway.chat()));
        expect(event).toMatchObject({ accountId, priceId, costNano: COST_NANO.toString() });
        expect(await bench.settle(event)).toMatchObject({ paidNano: COST_NANO });

        // The next price comes into force when Postgres says so, not an hour off.
        const nextId = await addPrice('1 second', { input: '1000000', output: '1000000' });
        await eventually(async () => {
          const later = await bench.eventOf(await gateway.post(gateway.chat()));
          expect(later).toMatchObject({ priceId: nextId, costNano: '20000' });
        });
        await bench.settleAll(gateway.seeded);
        expect(await bench.violations()).toEqual([]);
      } finally {
        await bench.stop();
      }
    },
  );
});
