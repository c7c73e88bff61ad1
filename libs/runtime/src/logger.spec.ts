import fc from 'fast-check';
import { createLogger } from './logger.js';

/** What a logger wrote for these fields and this message. */
function written(fields: object, message: string): string {
  const lines: string[] = [];
  createLogger('test', 'info', { write: (line) => lines.push(line) }).info(fields, message);
  return lines.join('');
}

const word = fc.stringMatching(/^[A-Za-z0-9]{12,40}$/);

/** A secret in the text that it stands in, and the part of it that must not come out. */
const secretText = fc.oneof(
  word.map((part) => ({ text: `sk-${part}`, part })),
  word.map((part) => ({ text: `tgop_${part}`, part })),
  word.map((part) => ({ text: `Bearer ${part}`, part })),
  word.map((part) => ({ text: `postgres://someone:${part}@host:5432/db`, part })),
  word.map((part) => ({ text: `redis://:${part}@host:6379`, part })),
  word.map((part) => ({ text: JSON.stringify({ authorization: part }), part })),
);

/** Puts a text somewhere into something that is logged. */
const placed = (text: string): fc.Arbitrary<object> =>
  fc
    .tuple(fc.constantFrom('', ' ', '\n', '\t', '"', '\\', '(', '\u0001'), fc.nat(6))
    .map(([before, place]) => {
      const value = `${before}${text} and more`;
      const failed = new Error(value, { cause: new TypeError(value) });
      return [
        { value },
        { deep: [{ er: { value } }] },
        { err: failed },
        { cause: failed },
        { nested: { list: [value, value] } },
        { [value]: true },
        { err: Object.assign(new Error('no'), { config: value, parameters: [value], body: { value } }) },
      ][place] as object;
    });

describe('a logger', () => {
  it('lets no secret out, wherever it stands', () => {
    fc.assert(
      fc.property(
        secretText.chain(({ text, part }) => fc.tuple(fc.constant(text), fc.constant(part), placed(text))),
        ([text, part, fields]) => {
          const line = written(fields, `a line about ${text}`);
          expect(line).not.toContain(part);
          expect(() => JSON.parse(line)).not.toThrow();
        },
      ),
      { numRuns: 500 },
    );
  });

  it('takes the values of members out whose names say that they are secret', () => {
    const line = written(
      { headers: { Authorization: 'x"y\\z', 'x-api-key': 'abc' }, apiKey: 'q', credential: 'w' },
      '',
    );
    expect(JSON.parse(line)).toMatchObject({
      headers: { Authorization: '***', 'x-api-key': '***' },
      apiKey: '***',
      credential: '***',
    });
  });

  it('leaves what is no secret as it is', () => {
    const fields = {
      requestId: '019a0000-0000-7000-8000-000000000000',
      url: 'http://127.0.0.1:8080/v1',
      models: 3,
    };
    expect(JSON.parse(written(fields, 'the basic risk-free task'))).toMatchObject({
      ...fields,
      msg: 'the basic risk-free task',
    });
  });

  it('tells of an error its kind, its code, its causes, and nothing that was hung on it', () => {
    const cause = Object.assign(new Error('inner'), { code: 'ECONNREFUSED', body: 'a prompt' });
    const error = Object.assign(new RangeError('outer', { cause }), { parameters: ['a prompt'] });
    const { err } = JSON.parse(written({ err: error }, 'failed'));
    expect(err).toEqual({
      type: 'RangeError',
      message: 'outer',
      stack: expect.stringMatching(/^ +at /),
      cause: { type: 'Error', message: 'inner', code: 'ECONNREFUSED', stack: expect.any(String) },
    });
  });

  it('does not quote what a parser could not read', () => {
    let failure: unknown;
    try {
      JSON.parse('{"prompt": canary}');
    } catch (error) {
      failure = error;
    }
    expect(written({ err: failure, cause: new Error('outer', { cause: failure }) }, 'failed')).not.toContain(
      'canary',
    );
  });
});
