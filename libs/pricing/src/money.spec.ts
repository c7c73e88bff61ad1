import fc from 'fast-check';
import {
  AMOUNT_MAX_NANO,
  AmountFormatError,
  formatAmount,
  formatRate,
  parseAmount,
  parseRate,
} from './money.js';

describe('amounts', () => {
  it('reads and writes the canonical form', () => {
    expect(parseAmount('5')).toBe(5_000_000_000n);
    expect(parseAmount('-0.000000001')).toBe(-1n);
    expect(parseAmount('12.50')).toBe(12_500_000_000n);
    expect(formatAmount(12_500_000_000n)).toBe('12.5');
    expect(formatAmount(0n)).toBe('0');
    expect(formatAmount(-1n)).toBe('-0.000000001');
  });

  it.each([
    '',
    '1e3',
    '+1',
    ' 1',
    '1 ',
    '.5',
    '1.',
    '0.0000000001',
    '12345678901',
    '1,5',
    'NaN',
    '0x1',
    '--1',
    '9000000.1',
  ])('refuses %p instead of rounding it', (text) => {
    expect(() => parseAmount(text)).toThrow(AmountFormatError);
  });

  it('reads back every amount that it writes', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -AMOUNT_MAX_NANO, max: AMOUNT_MAX_NANO }), (nano) => {
        expect(parseAmount(formatAmount(nano))).toBe(nano);
      }),
    );
  });
});

describe('rates', () => {
  it('reads credits per million units as pico-credits per unit', () => {
    expect(parseRate('0.15')).toBe(150_000n);
    expect(parseRate('0.000001')).toBe(1n);
    expect(formatRate(150_000n)).toBe('0.15');
  });

  it.each(['-1', '1e3', '0.0000001', '', ' 1'])('refuses %p', (text) => {
    expect(() => parseRate(text)).toThrow(AmountFormatError);
  });

  it('reads back every rate that it writes', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 15n }), (pico) => {
        expect(parseRate(formatRate(pico))).toBe(pico);
      }),
    );
  });
});
