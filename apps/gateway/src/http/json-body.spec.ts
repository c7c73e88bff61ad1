import { DIALECT_PROFILES } from '../dialects/dialect-profile.js';
import { readJsonBody } from './json-body.js';

const read = (text: string, contentType?: string): unknown =>
  readJsonBody({ contentType, body: Buffer.from(text) });

describe('readJsonBody', () => {
  it.each([undefined, '', 'application/json', 'Application/JSON; charset=utf-8', 'application/vnd.x+json'])(
    'reads an object of the type %p',
    (contentType) => {
      expect(read('{"a":"阿"}', contentType)).toEqual({ a: '阿' });
    },
  );

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'json'])(
    'refuses the type %p',
    (contentType) => {
      expect(() => read('{}', contentType)).toThrow(`Unsupported content type: '${contentType}'`);
    },
  );

  it.each(['', '{', '[]', '"x"', 'null', '{"a":1,}', '\u0000'])('refuses the body %j', (text) => {
    expect(() => read(text)).toThrow('We could not parse the JSON body');
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', undefined])(
    'reads what it can of the type %p for a tolerant dialect',
    (contentType) => {
      const dialect = { profile: DIALECT_PROFILES.app4gpt, isKeyInBody: false };
      const readTolerantly = (text: string, type = contentType): unknown =>
        readJsonBody({ contentType: type, body: Buffer.from(text), dialect });
      expect(readTolerantly('{"a":1,}')).toEqual({ a: 1 });
      expect(readTolerantly('a[0]=1')).toEqual({ a: ['1'] });
      expect(() => readTolerantly('neither')).toThrow('We could not parse the JSON body');
      expect(() => readTolerantly('{}', 'multipart/form-data; boundary=x')).toThrow(
        'Unsupported content type',
      );
    },
  );
});
