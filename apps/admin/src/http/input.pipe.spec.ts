import { z } from 'zod';
import { InputPipe, parseInput } from './input.pipe.js';
import { Problem } from './problem.js';

const schema = z.strictObject({ name: z.string(), nested: z.strictObject({ 'a/b~c': z.int() }).optional() });

describe('parseInput', () => {
  it('points into the input with JSON Pointers', () => {
    const parsed = parseInput(schema, { name: 1, nested: { 'a/b~c': 'x' } });
    expect(parsed).toMatchObject({
      success: false,
      errors: [{ pointer: '/name' }, { pointer: '/nested/a~1b~0c' }],
    });
  });

  it('points at each unknown field', () => {
    const parsed = parseInput(schema, { name: 'a', nmae: 'b', nested: { 'a/b~c': 1, d: 2 } });
    expect(parsed).toMatchObject({
      errors: [
        { pointer: '/nested/d', message: 'is not a known field' },
        { pointer: '/nmae', message: 'is not a known field' },
      ],
    });
  });

  it('says of a page parameter in the query of what has no pages that it has none', () => {
    const parsed = parseInput(schema, { name: 'a', limit: '1', cursor: 'x', other: '1' }, { isQuery: true });
    const noPages = 'is not known here: this has no pages';
    expect(parsed).toMatchObject({
      errors: [
        { pointer: '/limit', message: noPages },
        { pointer: '/cursor', message: noPages },
        { pointer: '/other', message: 'is not a known field' },
      ],
    });
    expect(parseInput(schema, { name: 'a', limit: 1 })).toMatchObject({
      errors: [{ message: 'is not a known field' }],
    });
  });

  it('points at the whole for what is no object', () => {
    for (const value of [undefined, null, 1, 'a', []]) {
      expect(parseInput(schema, value)).toMatchObject({ errors: [{ pointer: '' }] });
    }
  });

  it('answers ten thousand errors with fifty, and long names cut', () => {
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`field ${index}`, 1]));
    const parsed = parseInput(schema, { name: 'a', ['x'.repeat(100_000)]: 1, ...many });
    const errors = parsed.success ? [] : parsed.errors;
    expect(errors).toHaveLength(50);
    expect(JSON.stringify(errors).length).toBeLessThan(10_000);
  });
});

describe('InputPipe', () => {
  const pipe = new InputPipe();

  function codeOf(run: () => unknown): string {
    try {
      run();
    } catch (error) {
      return error instanceof Problem ? error.code : 'no problem';
    }
    return 'nothing';
  }

  it('hands on what has no schema', () => {
    expect(pipe.transform('as it is', { type: 'custom' })).toBe('as it is');
  });

  it('takes a wrong body or query for invalid, and a wrong path for nothing', () => {
    expect(codeOf(() => pipe.transform({}, { type: 'body', schema }))).toBe('validation_failed');
    expect(codeOf(() => pipe.transform({}, { type: 'query', schema }))).toBe('validation_failed');
    expect(codeOf(() => pipe.transform({}, { type: 'param', schema }))).toBe('not_found');
  });
});
