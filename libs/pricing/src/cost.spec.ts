import fc from 'fast-check';
import { computeCost, dearestRate, rateOf, type Price } from './cost.js';
import { UNIT_KINDS, type Units } from './units.js';

const price = (overrides: Partial<Price> = {}): Price => ({
  id: 'p',
  model: 'm',
  plan: 'default',
  rates: { input: 150_000n, output: 600_000n },
  perRequestNano: 0n,
  minimumChargeNano: 0n,
  ...overrides,
});

const rate = fc.bigInt({ min: 0n, max: 10n ** 12n });
const rates = fc.record(Object.fromEntries(UNIT_KINDS.map((kind) => [kind, rate])), { requiredKeys: [] });
const units: fc.Arbitrary<Units> = fc.record(Object.fromEntries(UNIT_KINDS.map((kind) => [kind, fc.nat()])), {
  requiredKeys: [],
});
const multiplierPpm = fc.nat(10_000_000);

describe('computeCost', () => {
  it('charges units times rates exactly', () => {
    // 13 × 0.15 + 7 × 0.60 credits per million units = 6,150,000 pico-credits = 6,150 nano-credits.
    expect(computeCost({ price: price(), units: { input: 13, output: 7 }, multiplierPpm: 1_000_000 })).toBe(
      6_150n,
    );
  });

  it('rounds once, up', () => {
    const one = price({ rates: { input: 1n } });
    expect(computeCost({ price: one, units: { input: 1 }, multiplierPpm: 1_000_000 })).toBe(1n);
    expect(computeCost({ price: one, units: { input: 1_001 }, multiplierPpm: 1_000_000 })).toBe(2n);
    expect(computeCost({ price: one, units: { input: 1_000 }, multiplierPpm: 1_000_000 })).toBe(1n);
  });

  it('charges nothing for explicit zero usage', () => {
    expect(computeCost({ price: price(), units: {}, multiplierPpm: 1_000_000 })).toBe(0n);
  });

  it('adds the amount per request and keeps the minimum charge', () => {
    const fixed = price({ perRequestNano: 500n, minimumChargeNano: 10_000n });
    expect(computeCost({ price: fixed, units: { input: 1 }, multiplierPpm: 1_000_000 })).toBe(10_000n);
    expect(computeCost({ price: fixed, units: { output: 100 }, multiplierPpm: 1_000_000 })).toBe(60_500n);
  });

  it('charges cached input as input where the price has no rate for it', () => {
    expect(rateOf(price(), 'cachedInput')).toBe(150_000n);
    expect(rateOf(price({ rates: { input: 2n, cachedInput: 0n } }), 'cachedInput')).toBe(0n);
  });

  it('never charges less than exact nor a whole nano-credit more', () => {
    fc.assert(
      fc.property(
        rates,
        units,
        multiplierPpm,
        fc.bigInt({ min: 0n, max: 10n ** 9n }),
        (r, u, ppm, perRequestNano) => {
          const p = price({ rates: r, perRequestNano });
          const exact =
            UNIT_KINDS.reduce(
              (sum, kind) => sum + BigInt(u[kind] ?? 0) * rateOf(p, kind),
              perRequestNano * 1_000n,
            ) * BigInt(ppm);
          const error = computeCost({ price: p, units: u, multiplierPpm: ppm }) * 1_000_000_000n - exact;
          expect(error >= 0n && error < 1_000_000_000n).toBe(true);
        },
      ),
    );
  });

  it('never exceeds the cost at the dearest rates', () => {
    fc.assert(
      fc.property(rates, units, (r, u) => {
        const p = price({ rates: r });
        const dearest = price({
          rates: { input: dearestRate(p, 'input'), output: dearestRate(p, 'output') },
        });
        const input = (u.input ?? 0) + (u.cachedInput ?? 0) + (u.cacheWriteInput ?? 0) + (u.audioInput ?? 0);
        const output = (u.output ?? 0) + (u.audioOutput ?? 0);
        expect(
          computeCost({ price: p, units: u, multiplierPpm: 1_000_000 }) <=
            computeCost({ price: dearest, units: { input, output }, multiplierPpm: 1_000_000 }),
        ).toBe(true);
      }),
    );
  });

  it.each([{ input: -1 }, { output: 1.5 }, { input: Number.NaN }, { output: 2 ** 41 }])(
    'asserts that %p is a count',
    (bad) => {
      expect(() => computeCost({ price: price(), units: bad, multiplierPpm: 1_000_000 })).toThrow();
    },
  );
});
