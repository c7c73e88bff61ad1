import fc from 'fast-check';
import { computeCost, type Price } from '@tollgate/pricing';
import { HoldSize, type HoldBasis } from './hold-size.js';

const price: Price = {
  id: 'p',
  model: 'm',
  plan: 'default',
  rates: { input: 150_000n, output: 600_000n },
  perRequestNano: 0n,
  minimumChargeNano: 0n,
};
const basis = (overrides: Partial<HoldBasis> = {}): HoldBasis => ({
  price,
  multiplierPpm: 1_000_000,
  input: { textBytes: 1_000, tokens: 0, messages: 1, imageParts: 0, mediaBytes: 0 },
  contextTokens: null,
  outputCap: 4_000,
  outputWanted: 2_000,
  ...overrides,
});

describe('HoldSize', () => {
  it('holds for a token per byte of input and the output that is wanted', () => {
    expect(new HoldSize(basis()).totalNano).toBe(
      computeCost({ price, units: { input: 1_007, output: 2_000 }, multiplierPpm: 1_000_000 }),
    );
  });

  it('bounds the input by the context of the model', () => {
    const size = new HoldSize(basis({ contextTokens: 100 }));
    expect(size.totalNano).toBe(
      computeCost({ price, units: { input: 100, output: 2_000 }, multiplierPpm: 1_000_000 }),
    );
  });

  it('holds at the dearest rate that can apply, and the minimum charge at least', () => {
    const dear = { ...price, rates: { ...price.rates, audioInput: 900_000n }, minimumChargeNano: 10n ** 12n };
    expect(new HoldSize(basis({ price: dear })).totalNano).toBe(10n ** 12n);
    expect(new HoldSize(basis({ price: { ...dear, minimumChargeNano: 0n } })).totalNano).toBe(
      computeCost({ price, units: { output: 2_000 }, multiplierPpm: 1_000_000 }) + 906_300n,
    );
  });

  it('covers the cap where output costs nothing', () => {
    expect(new HoldSize(basis({ price: { ...price, rates: { input: 1n } } })).outputTokensFor(0n)).toBe(
      4_000,
    );
  });

  it('covers a minimum charge: no embedding costs more than its hold, and none is begun with less', () => {
    const arbitrary = fc.record({
      input: fc.bigInt(0n, 10n ** 7n),
      minimumChargeNano: fc.bigInt(0n, 10n ** 13n),
      perRequestNano: fc.bigInt(0n, 10n ** 6n),
      multiplierPpm: fc.integer({ min: 0, max: 3_000_000 }),
      textBytes: fc.nat(1_000_000),
      tokens: fc.nat(8_192),
    });
    fc.assert(
      fc.property(
        arbitrary,
        ({ input, minimumChargeNano, perRequestNano, multiplierPpm, textBytes, tokens }) => {
          const custom = { ...price, rates: { input }, minimumChargeNano, perRequestNano };
          const size = new HoldSize(
            basis({
              price: custom,
              multiplierPpm,
              outputCap: 0,
              outputWanted: 0,
              input: { textBytes, tokens, messages: 0, imageParts: 0, mediaBytes: 0 },
            }),
          );
          expect(size.leastNano >= minimumChargeNano).toBe(true);
          expect(size.totalNano >= size.leastNano).toBe(true);
          for (const used of [0, 1, textBytes + tokens]) {
            const cost = computeCost({ price: custom, units: { input: used }, multiplierPpm });
            expect(cost <= size.totalNano).toBe(true);
          }
        },
      ),
    );
  });

  it('covers what it holds for: the tokens that a granted hold affords never cost more than the hold', () => {
    const arbitrary = fc.record({
      rates: fc.record({ input: fc.bigInt(0n, 10n ** 7n), output: fc.bigInt(1n, 10n ** 8n) }),
      multiplierPpm: fc.integer({ min: 1, max: 3_000_000 }),
      textBytes: fc.nat(100_000),
      outputCap: fc.integer({ min: 1, max: 50_000 }),
      granted: fc.bigInt(0n, 10n ** 12n),
      perRequestNano: fc.bigInt(0n, 10n ** 6n),
    });
    fc.assert(
      fc.property(arbitrary, ({ rates, multiplierPpm, textBytes, outputCap, granted, perRequestNano }) => {
        const custom = { ...price, rates, perRequestNano };
        const size = new HoldSize(
          basis({
            price: custom,
            multiplierPpm,
            outputCap,
            outputWanted: outputCap,
            input: { ...basis().input, textBytes },
          }),
        );
        const affordable = size.outputTokensFor(granted);
        expect(affordable <= outputCap).toBe(true);
        expect(size.outputTokensFor(size.totalNano)).toBe(outputCap);
        if (granted < size.leastNano) return;
        const input = Math.ceil(textBytes / 2) + 7;
        const cost = computeCost({ price: custom, units: { input, output: affordable }, multiplierPpm });
        expect(cost <= granted).toBe(true);
      }),
    );
  });
});
