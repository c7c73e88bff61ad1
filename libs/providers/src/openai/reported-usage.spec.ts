import fc from 'fast-check';
import { readUsage, usageObject } from './reported-usage.js';

const UNBOUND = { outputTokensCap: null, contextTokens: null };

describe('readUsage', () => {
  it('splits input and output into the kinds that have rates', () => {
    const usage = {
      prompt_tokens: 100,
      completion_tokens: 50,
      total_tokens: 150,
      prompt_tokens_details: { cached_tokens: 40, audio_tokens: 10 },
      completion_tokens_details: { reasoning_tokens: 20, audio_tokens: 5 },
    };
    expect(readUsage(usage, UNBOUND)).toEqual({
      units: { input: 50, cachedInput: 40, audioInput: 10, output: 45, audioOutput: 5 },
      inputTokens: 100,
      outputTokens: 50,
      reasoningTokens: 20,
      cachedTokens: 40,
    });
  });

  it.each([
    [{ prompt_tokens: 10, completion_tokens: 1, prompt_cache_hit_tokens: 6, prompt_cache_miss_tokens: 4 }],
    [{ prompt_tokens: 10, completion_tokens: 1, cached_tokens: 6 }],
    [{ prompt_tokens: 10, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 6 } }],
  ])('finds cached tokens in %j', (usage) => {
    expect(readUsage(usage, UNBOUND)).toMatchObject({ units: { input: 4, cachedInput: 6, output: 1 } });
  });

  it('takes explicit zero for zero, and absence for absence', () => {
    expect(readUsage({ prompt_tokens: 0, completion_tokens: 0 }, UNBOUND)).toMatchObject({
      units: { input: 0, output: 0 },
    });
    expect(readUsage(null, UNBOUND)).toBeNull();
    expect(readUsage({}, UNBOUND)).toBeNull();
  });

  it.each([
    [{ prompt_tokens: -1, completion_tokens: 1 }],
    [{ prompt_tokens: 1.5, completion_tokens: 1 }],
    [{ prompt_tokens: '7', completion_tokens: 1 }],
    [{ prompt_tokens: 1, completion_tokens: 1e300 }],
    [{ prompt_tokens: 5, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 6 } }],
    [{ prompt_tokens: 5, completion_tokens: 11 }],
    [{ prompt_tokens: 95, completion_tokens: 10 }],
  ])('does not believe %j', (usage) => {
    expect(readUsage(usage, { outputTokensCap: 10, contextTokens: 100 })).toHaveProperty('impossible');
  });

  it('never loses or invents a token', () => {
    const count = fc.nat(10_000);
    fc.assert(
      fc.property(count, count, count, count, (prompt, completion, cached, audio) => {
        const read = readUsage(
          {
            prompt_tokens: prompt,
            completion_tokens: completion,
            prompt_tokens_details: { cached_tokens: cached, audio_tokens: audio },
          },
          UNBOUND,
        );
        if (read === null || 'impossible' in read) {
          expect(cached + audio).toBeGreaterThan(prompt);
          return;
        }
        expect(usageObject(read)).toMatchObject({
          prompt_tokens: prompt,
          completion_tokens: completion,
          total_tokens: prompt + completion,
        });
      }),
    );
  });
});
