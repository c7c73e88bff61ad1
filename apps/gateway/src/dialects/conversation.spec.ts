import fc from 'fast-check';
import { holdToRules } from './conversation.js';

const MAX = 2_000;

/** A conversation whose turns have these lengths. */
function turns(...lengths: number[]): { role: string; content: string }[] {
  return lengths.map((length, at) => ({
    role: at % 2 === 0 ? 'user' : 'assistant',
    content: '字'.repeat(length),
  }));
}

describe('holdToRules', () => {
  it('leaves a conversation of exactly the limit as it is', () => {
    const messages = turns(500, 500, 1_000);
    expect(holdToRules(messages, MAX)).toEqual({ messages, dropped: 0 });
    expect(holdToRules(turns(2_000), MAX).dropped).toBe(0);
  });

  it('drops the oldest pairs until the whole fits', () => {
    const messages = turns(1, 600, 600, 600, 800);
    expect(holdToRules(messages, MAX)).toEqual({ messages: messages.slice(2), dropped: 2 });
    expect(holdToRules(turns(1, 1, 2_000), MAX).dropped).toBe(2);
    expect(holdToRules(turns(5_000, 5_000, 1, 1, 1), MAX).dropped).toBe(2);
  });

  it('counts code points, not the halves of surrogate pairs', () => {
    const question = { role: 'user', content: '😀'.repeat(2_000) };
    expect(holdToRules([question], MAX).dropped).toBe(0);
    expect(() => holdToRules([{ role: 'user', content: '😀'.repeat(2_001) }], MAX)).toThrow(
      'longer than 2000',
    );
  });

  it('counts a leading system message for nothing and never drops it', () => {
    const system = { role: 'system', content: '字'.repeat(9_000) };
    const messages = [system, ...turns(900, 900, 900)];
    expect(holdToRules(messages, MAX)).toEqual({ messages: [system, ...messages.slice(3)], dropped: 2 });
  });

  it('counts the texts among the parts of a message', () => {
    const image = { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://a' } }] };
    expect(holdToRules([image], MAX).dropped).toBe(0);
    const text = { role: 'user', content: [{ type: 'text', text: '字'.repeat(2_001) }] };
    expect(() => holdToRules([text], MAX)).toThrow('longer than 2000');
  });

  it.each([
    ['no messages', undefined, "Missing required parameter: 'messages'"],
    ['messages that are no array', 'hello', 'expected an array of objects'],
    ['a message that is no object', ['hello'], "'messages[0]'"],
    ['an empty conversation', [], 'must be odd'],
    ['only a system message', [{ role: 'system', content: 'x' }], 'must be odd'],
    ['an even number of messages', turns(1, 1), 'must be odd'],
    [
      'a conversation that the assistant begins',
      [{ role: 'assistant', content: 'x' }],
      "must have the role 'user'",
    ],
    ['two questions in a row', [...turns(1), ...turns(1), ...turns(1)], "must have the role 'assistant'"],
    ['a system message within', [...turns(1), { role: 'system', content: 'x' }, ...turns(1)], "'assistant'"],
    ['an empty message', turns(1, 0, 1), 'message 2 must not be empty'],
    ['a message without content', [{ role: 'user' }], 'message 1 must not be empty'],
    ['a message of no parts', [{ role: 'user', content: [] }], 'message 1 must not be empty'],
    ['a question beyond the limit', turns(1, 1, 2_001), 'longer than 2000'],
  ])('refuses %s', (_what, messages, problem) => {
    expect(() => holdToRules(messages, MAX)).toThrow(
      expect.objectContaining({ name: 'RequestProblem', message: expect.stringContaining(problem) }),
    );
  });

  it('drops no more than it has to, and keeps the conversation one that would pass', () => {
    const lengths = fc
      .array(fc.integer({ min: 1, max: 2_500 }), { maxLength: 20 })
      .map((all) => (all.length % 2 === 0 ? [...all, 7] : all))
      .filter((all) => (all.at(-1) ?? 0) <= MAX);
    fc.assert(
      fc.property(lengths, (all) => {
        const messages = turns(...all);
        const { messages: kept, dropped } = holdToRules(messages, MAX);
        const total = (from: number): number => all.slice(from).reduce((sum, length) => sum + length, 0);
        expect(kept).toEqual(messages.slice(dropped));
        expect(total(dropped)).toBeLessThanOrEqual(MAX);
        if (dropped > 0) expect(total(dropped - 2)).toBeGreaterThan(MAX);
        expect(holdToRules(kept, MAX).dropped).toBe(0);
      }),
    );
  });
});
