import { LINEAR_GROWTH_MAX, timeGrowth } from '@tollgate/testing';
import fc from 'fast-check';
import { takeBodyCredential } from './body-credential.js';

function take(text: string): { body: string; credential: string | null } {
  const { body, credential } = takeBodyCredential(Buffer.from(text));
  return { body: body.toString(), credential };
}

describe('takeBodyCredential', () => {
  it.each([
    ['{"api_secret_key":"k","model":"m"}', '{"model":"m"}', 'k'],
    ['{"model":"m","api_secret_key":"k"}', '{"model":"m"}', 'k'],
    ['{"a":1,"api_secret_key":"k","b":2}', '{"a":1,"b":2}', 'k'],
    ['{"api_secret_key":"k"}', '{}', 'k'],
    ['\uFEFF{"api_secret_key":"k"}', '\uFEFF{}', 'k'],
    [' {\n  "api_secret_key" : "k" ,\n  "b": [1, {"c": "}"}]\n}\n', ' {"b": [1, {"c": "}"}]\n}\n', 'k'],
    ['{"a":1,"api_secret_key":"k","api_secret_key":"l"}', '{"a":1}', 'k'],
    ['{"a":1,"api_secret_key":"","b":2,"api_secret_key":"l","c":3}', '{"a":1,"b":2,"c":3}', 'l'],
    ['{"api_secret_key":null,"a":"\\"}"}', '{"a":"\\"}"}', null],
    ['{"api_secret_key":"\\u006b\\"","a":"阿"}', '{"a":"阿"}', 'k"'],
    ['{"api_secret_key":{"x":["y",","]},"a":12345678901234567890}', '{"a":12345678901234567890}', null],
  ])('takes the key out of %s', (text, body, credential) => {
    expect(take(text)).toEqual({ body, credential });
  });

  it.each([
    ['another member inside', '{"a":{"api_secret_key":"k"}}'],
    ['text that mentions it', '{"a":"api_secret_key"}'],
    ['an array', '[{"api_secret_key":"k"}]'],
    ['a longer name', '{"api_secret_key2":"k"}'],
    ['a form that only mentions it', 'text=my+api_secret_key%3Dk'],
    ['lines of another kind', '--x\r\nname="api_secret_key"\r\n\r\nk\r\n--x--'],
    ['nothing', ''],
    ['a string', '"api_secret_key"'],
  ])('leaves %s as it is', (_what, text) => {
    expect(take(text)).toEqual({ body: text, credential: null });
  });

  it('finds the key in what is only nearly JSON', () => {
    expect(take('{"api_secret_key":"k","prompt":"an otter",}')).toEqual({
      body: '{"prompt":"an otter"}',
      credential: 'k',
    });
    expect(take('{"api_secret_key":"k","prompt":')).toEqual({ body: '{"prompt":', credential: 'k' });
    expect(take('{"api_secret_key')).toEqual({ body: '{"api_secret_key', credential: null });
  });

  it.each([
    ['api_secret_key=k&messages[0][role]=user', 'messages[0][role]=user', 'k'],
    ['model=m&api_secret_key=a%2Bb+c', 'model=m', 'a+b c'],
    ['api_secret_key=&a=1&api_secret_key=k', 'a=1', 'k'],
    ['api_secret_key', '', null],
    ['\n a=1&api_secret_key=k\n', '\n a=1', 'k'],
    ['api_secret_key=%zz', '', '%zz'],
    ['api_secret_keys=k', 'api_secret_keys=k', null],
  ])('takes the key out of the form %s', (text, body, credential) => {
    expect(take(text)).toEqual({ body, credential });
  });

  it('leaves everything else of any object as it was', () => {
    const member = fc.tuple(fc.string({ unit: 'binary' }), fc.jsonValue());
    fc.assert(
      fc.property(fc.array(member), fc.nat(), fc.string({ minLength: 1 }), (members, position, key) => {
        const others = members.filter(([name]) => name !== 'api_secret_key' && name !== '__proto__');
        const written = others.map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`);
        written.splice(position % (written.length + 1), 0, `"api_secret_key":${JSON.stringify(key)}`);
        const taken = take(`{${written.join(' , ')}}`);
        expect(taken.credential).toBe(key);
        expect(JSON.parse(taken.body)).toEqual(JSON.parse(JSON.stringify(Object.fromEntries(others))));
      }),
      { numRuns: 500 },
    );
  });

  it('neither fails nor lingers on garbage', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      '\\',
      ',',
      ':',
      ' ',
      '"api_secret_key"',
      'x',
      '&',
      '=',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        take(`{"api_secret_key"${pieces.join('')}`);
        take(`api_secret_key${pieces.join('')}`);
      }),
      { numRuns: 2_000 },
    );
  });

  it('takes one pass over a body of nothing else', () => {
    const credentials = (count: number) => `{${'"api_secret_key":"",'.repeat(count)}"a":1}`;
    const members = (count: number) => `{"api_secret_key":1${',"a":1'.repeat(count)}}`;
    expect(timeGrowth(take, credentials, 500)).toBeLessThan(LINEAR_GROWTH_MAX);
    expect(timeGrowth(take, members, 2_000)).toBeLessThan(LINEAR_GROWTH_MAX);
  });
});
