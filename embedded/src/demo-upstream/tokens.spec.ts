import { cutRuns, encodeText, tokenTexts } from './tokens.js';

describe('the tokens of the demo upstream', () => {
  it('count as o200k does', () => {
    expect(encodeText('hello world')).toHaveLength(2);
    expect(encodeText('')).toHaveLength(0);
  });

  it('take what looks like a control token for text', () => {
    expect(encodeText('<|endoftext|>').length).toBeGreaterThan(1);
  });

  it('give back every text in whole characters', () => {
    const text = '你好 👩‍👩‍👧 ok éa 𝒳\n\n done';
    expect(tokenTexts(encodeText(text)).join('')).toBe(text);
  });

  it.each(['a'.repeat(100_000), '你'.repeat(50_000), ' '.repeat(100_000), '𝒳'.repeat(20_000)])(
    'are counted quickly however long a run is',
    (text) => {
      const startedMs = performance.now();
      expect(tokenTexts(encodeText(text)).join('')).toBe(text);
      expect(performance.now() - startedMs).toBeLessThan(2_000);
    },
  );

  it('cut only runs without a break, and no character', () => {
    expect(cutRuns('one two three', 5)).toEqual(['one two three']);
    expect(cutRuns('abcdefghij kl', 4)).toEqual(['abcd', 'efgh', 'ij kl']);
    expect(cutRuns('𝒳𝒳𝒳', 3)).toEqual(['𝒳𝒳', '𝒳']);
  });
});
