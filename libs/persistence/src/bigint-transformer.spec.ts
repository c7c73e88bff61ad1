import { bigintTransformer } from './bigint-transformer.js';

describe('bigintTransformer', () => {
  it('keeps what a number would round', () => {
    expect(bigintTransformer.from('9007199254740993')).toBe(9_007_199_254_740_993n);
    expect(bigintTransformer.to(9_007_199_254_740_993n)).toBe('9007199254740993');
  });

  it('leaves null, and the operators of a query, as they are', () => {
    expect(bigintTransformer.from(null)).toBeNull();
    expect(bigintTransformer.to(null)).toBeNull();
    const operator = { type: 'moreThan' };
    expect(bigintTransformer.to(operator)).toBe(operator);
  });
});
