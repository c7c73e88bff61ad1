import { createAccountSchema, formatMultiplier } from './account.schema.js';

function multiplierOf(text: string): number | undefined {
  return createAccountSchema.safeParse({ name: 'a', multiplier: text }).data?.multiplier;
}

describe('a multiplier', () => {
  it('is read as parts per million, exactly', () => {
    expect(['1', '0', '0.000001', '1000', '1.250000'].map(multiplierOf)).toEqual([1e6, 0, 1, 1e9, 1_250_000]);
  });

  it('is refused beyond 1000, below 0 and with a seventh decimal', () => {
    const wrong = ['', '1000.000001', '1.0000001', '-1', '1e3', '1,5'];
    expect(wrong.filter((text) => multiplierOf(text) !== undefined)).toEqual([]);
  });

  it('is written without trailing zeros', () => {
    expect([1e6, 0, 1, 1_250_000].map(formatMultiplier)).toEqual(['1', '0', '0.000001', '1.25']);
  });
});
