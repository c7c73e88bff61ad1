import { describeWithRedis, eventually, type SeededInstallation } from '@tollgate/testing';
import { PolicyBench } from './billing-policy.spec-kit.js';

// Real: gateway in this process, Postgres, Redis, the fake upstream. What is settled is settled as billing does it.

const REQUESTS = 1_000;
/** 13 input tokens and 7 output tokens: less than what is held for a prompt of 40 bytes. */
const COST_NANO = 6_150n;

describeWithRedis('a thousand requests at once on one account', () => {
  const bench = new PolicyBench('Redis');
  const { gateway } = bench;

  beforeAll(async () => {
    await bench.start();
    await gateway.upstream.behave({ chunks: 7, promptTokens: 13 });
  });

  afterAll(() => bench.stop());

  /** How many were answered with each status. */
  async function askAtOnce({ apiKey }: SeededInstallation): Promise<Map<number, number>> {
    const statuses = new Map<number, number>();
    const ask = async (): Promise<void> => {
      const response = await gateway.post(gateway.chat('x'.repeat(40), { max_tokens: 7 }), { key: apiKey });
      await response.text();
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
    };
    await Promise.all(Array.from({ length: REQUESTS }, ask));
    return statuses;
  }

  async function postedOf({ accountId }: SeededInstallation): Promise<bigint> {
    const { rows } = await gateway.owner.query<{ posted: string }>(
      'SELECT posted FROM tollgate.account WHERE id = $1',
      [accountId],
    );
    return BigInt(rows[0]?.posted ?? '');
  }

  it('hot account: 1,000 parallel requests through the Redis store: no false refusal, no overspend', async () => {
    const openingNano = BigInt(REQUESTS) * 10n * COST_NANO;
    const rich = await gateway.seed({ balanceNano: openingNano });
    expect([...(await askAtOnce(rich))]).toEqual([[200, REQUESTS]]);
    await eventually(async () => expect(await bench.settleAll(rich)).toBe(REQUESTS));
    expect(await postedOf(rich)).toBe(openingNano - BigInt(REQUESTS) * COST_NANO);

    // What running requests hold may be refused to others; what was served was paid, to the last of it.
    const poor = await gateway.seed({ balanceNano: 100n * COST_NANO });
    const statuses = await askAtOnce(poor);
    const served = statuses.get(200) ?? 0;
    expect(served).toBeGreaterThan(0);
    expect(served).toBeLessThanOrEqual(100);
    expect([...statuses.keys()].filter((status) => status !== 200 && status !== 429)).toEqual([]);
    await eventually(async () => expect(await bench.settleAll(poor)).toBe(served));
    expect(await postedOf(poor)).toBe(100n * COST_NANO - BigInt(served) * COST_NANO);
    const absorbed = await gateway.owner.query("SELECT FROM tollgate.transfer WHERE kind = 'absorbed'");
    expect(absorbed.rowCount).toBe(0);
    for (const { accountId } of [rich, poor]) await bench.expectNothingHeld(accountId);
    expect(await bench.violations()).toEqual([]);
  });
});
