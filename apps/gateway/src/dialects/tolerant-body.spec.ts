import { LINEAR_GROWTH_MAX, timeGrowth } from '@tollgate/testing';
import fc from 'fast-check';
import { readTolerantBody, withoutTrailingCommas } from './tolerant-body.js';

const read = (text: string): unknown => readTolerantBody(Buffer.from(text));

describe('readTolerantBody', () => {
  it('reads JSON as JSON, also behind a byte order mark and blanks', () => {
    expect(read('\uFEFF \n{"model":"m","messages":[]} ')).toEqual({ model: 'm', messages: [] });
  });

  it('reads JSON with trailing commas', () => {
    expect(read('{\n  "prompt": "a, }",\n "stop": ["x" , ] ,\n}')).toEqual({ prompt: 'a, }', stop: ['x'] });
  });

  it('reads a form, with booleans and numbers for what they are', () => {
    const form =
      'stream=0&echo=true&n=2&temperature=.7&max_tokens=16&user=1&prompt=5&stop=7&messages=[{"role":"user"}]';
    expect(read(form)).toEqual({
      stream: false,
      echo: true,
      n: 2,
      temperature: 0.7,
      max_tokens: 16,
      user: '1',
      prompt: '5',
      stop: '7',
      messages: [{ role: 'user' }],
    });
  });

  it('leaves to the checks what fits nothing', () => {
    expect(read('{"stream":"perhaps","n":"many","temperature":"1e","messages":"[oops"}')).toEqual({
      stream: 'perhaps',
      n: 'many',
      temperature: '1e',
      messages: '[oops',
    });
  });

  it.each(['', '   ', 'hello', '[1]', '"text"', '{"a":', '{,,}', '{]', 'null'])(
    'takes %j for no body',
    (text) => {
      expect(read(text)).toBeNull();
    },
  );
});

describe('withoutTrailingCommas', () => {
  it('changes nothing of what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(withoutTrailingCommas(text)).toBe(text);
      }),
    );
  });

  it('drops commas before closing brackets, wherever they are put', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(', ', ',', ' ,\r\n\t'), (value, comma) => {
        const isFilled = (item: unknown): boolean =>
          typeof item === 'object' && item !== null && Object.keys(item).length > 0;
        const write = (item: unknown): string => {
          if (!isFilled(item)) return JSON.stringify(item);
          if (Array.isArray(item)) return `[${item.map(write).join(',')}${comma}]`;
          const members = Object.entries(item as object).map(
            ([name, member]) => `${JSON.stringify(name)}:${write(member)}`,
          );
          return `{${members.join(',')}${comma}}`;
        };
        const expected = JSON.parse(JSON.stringify(value));
        expect(JSON.parse(withoutTrailingCommas(write(value)))).toEqual(expected);
      }),
    );
  });

  it('takes one pass for strings that stay open', () => {
    const quotes = (count: number) => `{"${'\\"'.repeat(count)}`;
    const commas = (count: number) => `[${', '.repeat(count)}`;
    expect(timeGrowth(withoutTrailingCommas, quotes, 20_000)).toBeLessThan(LINEAR_GROWTH_MAX);
    expect(timeGrowth(withoutTrailingCommas, commas, 20_000)).toBeLessThan(LINEAR_GROWTH_MAX);
  });
});
