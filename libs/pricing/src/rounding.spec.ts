import fc from 'fast-check';
import { computeCost, rateOf, type Price } from './cost.js';
import { UNIT_KINDS, type Units } from './units.js';

const rate = fc.bigInt({ min: 0n, max: 10n ** 9n });
const prices: fc.Arbitrary<Price> = fc.record({
  id: fc.constant('p'),
  model: fc.constant('m'),
  plan: fc.constant('default'),
  rates: fc.record(Object.fromEntries(UNIT_KINDS.map((kind) => [kind, rate])), { requiredKeys: [] }),
  perRequestNano: fc.bigInt({ min: 0n, max: 10n ** 9n }),
  minimumChargeNano: fc.constant(0n),
});
const unitCounts: fc.Arbitrary<Units> = fc.record(
  Object.fromEntries(UNIT_KINDS.map((kind) => [kind, fc.nat(5_000_000)])),
  { requiredKeys: [] },
);

/** What a request costs exactly, in pico-credits. */
function exactPico(price: Price, units: Units): bigint {
  return UNIT_KINDS.reduce(
    (sum, kind) => sum + BigInt(units[kind] ?? 0) * rateOf(price, kind),
    price.perRequestNano * 1_000n,
  );
}

describe('rounding', () => {
  it('charges less than a nano-credit more than exact: 0 <= charged × 1000 − exact < 1000, in pico-credits', () => {
    fc.assert(
      fc.property(prices, unitCounts, (price, units) => {
        const charged = computeCost({ price, units, multiplierPpm: 1_000_000 });
        const error = charged * 1_000n - exactPico(price, units);
        expect(error).toBeGreaterThanOrEqual(0n);
        expect(error).toBeLessThan(1_000n);
      }),
      { numRuns: 500 },
    );
  });

  it('multiplier and price are rounded once', () => {
    fc.assert(
      fc.property(prices, unitCounts, fc.nat(5_000_000), (price, units, multiplierPpm) => {
        const charged = computeCost({ price, units, multiplierPpm });
        const error = charged * 1_000_000_000n - exactPico(price, units) * BigInt(multiplierPpm);
        expect(error).toBeGreaterThanOrEqual(0n);
        expect(error).toBeLessThan(1_000_000_000n);
      }),
      { numRuns: 500 },
    );
  });
});
