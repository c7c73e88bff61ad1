import { findUnstorableValue } from './unstorable-value.js';

describe('findUnstorableValue', () => {
  it('lets through what Postgres can hold', () => {
    for (const value of [null, 1, 'ok 😀', [], { a: [{ b: 'c' }] }, true, undefined]) {
      expect(findUnstorableValue(value)).toBeNull();
    }
  });

  it('finds NUL characters and lone surrogates in values and in names', () => {
    expect(findUnstorableValue({ a: ['ok', 'x\0'] })).toEqual({
      pointer: '/a/1',
      message: 'contains a NUL character',
    });
    expect(findUnstorableValue({ a: '\ud800' })).toEqual({
      pointer: '/a',
      message: 'is not well-formed Unicode',
    });
    expect(findUnstorableValue({ a: { 'b\0': 1 } })).toEqual({
      pointer: '/a',
      message: 'a field name contains a NUL character',
    });
  });

  it('finds numbers that JSON can write and a double cannot hold', () => {
    expect(findUnstorableValue(JSON.parse('{"a":1e999}'))).toMatchObject({ pointer: '/a' });
  });

  it('finds nesting beyond reason without running out of stack', () => {
    const deep = JSON.parse(`${'['.repeat(200_000)}${']'.repeat(200_000)}`);
    expect(findUnstorableValue(deep)).toMatchObject({ message: 'is nested too deeply' });
  });
});
