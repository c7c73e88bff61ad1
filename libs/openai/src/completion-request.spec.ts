import { parseCompletionRequest } from './completion-request.js';

describe('parseCompletionRequest', () => {
  it('reads a prompt in every form that OpenAI takes', () => {
    const promptsOf = (prompt: unknown): unknown => parseCompletionRequest({ model: 'm', prompt }).prompts;
    expect(promptsOf('a')).toEqual(['a']);
    expect(promptsOf(['a', 'b'])).toEqual(['a', 'b']);
    expect(promptsOf([1, 2])).toEqual([[1, 2]]);
    expect(promptsOf([[1], [2, 3]])).toEqual([[1], [2, 3]]);
    expect(promptsOf(undefined)).toEqual(['<|endoftext|>']);
  });

  it('takes sixteen tokens where nobody says, and counts the choices of all prompts', () => {
    expect(parseCompletionRequest({ model: 'm', prompt: 'a' })).toMatchObject({
      outputTokensCap: 16,
      choices: 1,
    });
    expect(parseCompletionRequest({ model: 'm', prompt: 'a' }, null).outputTokensCap).toBeNull();
    const many = { model: 'm', prompt: ['a', 'b', 'c'], n: 2, best_of: 4, max_tokens: 5 };
    expect(parseCompletionRequest(many)).toMatchObject({ outputTokensCap: 5, choices: 12 });
  });

  it.each([
    [{ prompt: [1, 2] }, 'prompt'],
    [{ echo: true }, 'echo'],
    [{ best_of: 2, n: 1 }, 'best_of'],
    [{ logprobs: 0 }, 'logprobs'],
    [{ echo: false, best_of: 1, suffix: null }, null],
  ])('knows what chat models cannot do of %j', (members, beyond) => {
    expect(parseCompletionRequest({ model: 'm', prompt: 'a', ...members }).beyondChat).toBe(beyond);
  });

  it.each([
    [{ prompt: 5 }, 'prompt'],
    [{ prompt: [] }, 'prompt'],
    [{ prompt: ['a', 5] }, 'prompt[1]'],
    [{ prompt: [-1] }, 'prompt[0]'],
    [{ best_of: 1, n: 2 }, 'best_of'],
    [{ logprobs: 6 }, 'logprobs'],
    [{ echo: 'yes' }, 'echo'],
  ])('refuses %j and names the parameter', (members, param) => {
    const parse = (): unknown => parseCompletionRequest({ model: 'm', prompt: 'a', ...members });
    expect(parse).toThrow(expect.objectContaining({ name: 'RequestProblem', param }));
  });
});
