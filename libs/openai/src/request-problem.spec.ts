import { RequestProblem, rewriteJson } from './request-problem.js';

describe('rewriteJson', () => {
  it('writes what it is given', () => {
    expect(rewriteJson({ a: [1, '你'] })).toBe('{"a":[1,"你"]}');
  });

  it('refuses what is nested too deeply to be written, and not as a fault of ours', () => {
    const depth = 200_000;
    const nested: unknown = JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`);
    expect(() => rewriteJson({ messages: nested })).toThrow(RequestProblem);
  });
});
