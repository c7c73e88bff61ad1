import { computeCost } from '@tollgate/pricing';
import fc from 'fast-check';
import { estimatedInputTokens, estimatedOutputTokens, exactCostNano, type KnownPrice } from './exact-cost.js';

const price: KnownPrice = {
  id: 'p',
  model: 'm',
  inputPico: 150_007n,
  outputPico: 600_013n,
  perRequestNano: 0n,
  minimumChargeNano: 0n,
  effectiveFromMs: 0,
};

describe('the cost that a run expects', () => {
  it('is rounded up, once', () => {
    // 150.007 + 600.013 nano-credits.
    expect(exactCostNano(price, { input: 1, output: 1 }, 1_000_000)).toBe(751n);
    expect(exactCostNano(price, { input: 1_000, output: 0 }, 1_000_000)).toBe(150_007n);
    expect(exactCostNano(price, { input: 1, output: 1 }, 333_333)).toBe(251n);
    expect(exactCostNano(price, { input: 0, output: 0 }, 1_000_000)).toBe(0n);
  });

  it('is at least the minimum charge, and has the amount per request in it', () => {
    const dear = { ...price, perRequestNano: 1_003n, minimumChargeNano: 5_000n };
    expect(exactCostNano(dear, { input: 1, output: 1 }, 1_000_000)).toBe(5_000n);
    expect(exactCostNano(dear, { input: 100, output: 0 }, 1_000_000)).toBe(16_004n);
  });

  it('is what Tollgate reckons, for any price and tokens', () => {
    const pico = fc.bigInt(0n, 10n ** 9n);
    const tokens = fc.integer({ min: 0, max: 1_000_000 });
    fc.assert(
      fc.property(
        fc.record({ input: pico, output: pico, perRequest: pico, minimum: pico }),
        fc.record({ input: tokens, output: tokens }),
        fc.integer({ min: 0, max: 5_000_000 }),
        (rates, units, multiplierPpm) => {
          const known = {
            ...price,
            inputPico: rates.input,
            outputPico: rates.output,
            perRequestNano: rates.perRequest,
            minimumChargeNano: rates.minimum,
          };
          const theirs = computeCost({
            price: {
              id: 'p',
              model: 'm',
              plan: 'default',
              rates: { input: rates.input, output: rates.output },
              perRequestNano: rates.perRequest,
              minimumChargeNano: rates.minimum,
            },
            units,
            multiplierPpm,
          });
          return exactCostNano(known, units, multiplierPpm) === theirs;
        },
      ),
    );
  });

  it('estimates a token for four bytes, and three for the message', () => {
    expect(estimatedInputTokens(9)).toBe(6);
    expect(estimatedOutputTokens(9)).toBe(3);
    expect(estimatedOutputTokens(0)).toBe(0);
  });
});
