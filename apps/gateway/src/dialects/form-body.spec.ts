import { LINEAR_GROWTH_MAX, timeGrowth } from '@tollgate/testing';
import fc from 'fast-check';
import { readForm } from './form-body.js';

describe('readForm', () => {
  it('reads nested names as PHP writes them', () => {
    const text =
      'user=%E5%BC%A0%E4%B8%89&messages%5B0%5D%5Brole%5D=user&messages%5B0%5D%5Bcontent%5D=1%2B100%3D' +
      '&messages[1][role]=assistant&messages[1][content]=101+%26+more';
    expect(readForm(text)).toEqual({
      user: '张三',
      messages: [
        { role: 'user', content: '1+100=' },
        { role: 'assistant', content: '101 & more' },
      ],
    });
  });

  it('orders numbered members by their numbers and counts empty brackets on', () => {
    expect(readForm('a[2]=c&a[0]=a&a[1]=b&s[]=x&s[]=y&s[5]=last&s[]=more')).toEqual({
      a: ['a', 'b', 'c'],
      s: ['x', 'y', 'more', 'last'],
    });
    expect(readForm('a[999999999]=far')).toEqual({ a: ['far'] });
  });

  it('keeps bytes that are no UTF-8 from failing it', () => {
    expect(readForm('a=%ff%')).toEqual({ a: '\uFFFD%' });
  });

  it.each([
    ['no field at all', 'hello'],
    ['a name without a beginning', '[a]=1'],
    ['a bracket that stays open', 'a[b=1'],
    ['text behind a bracket', 'a[b]c=1'],
    ['a member of a text', 'a=1&a[b]=2'],
    ['too many levels', `a${'[b]'.repeat(9)}=1`],
    ['too many fields', 'a=1&'.repeat(5_001)],
  ])('refuses %s', (_what, text) => {
    expect(readForm(text)).toBeNull();
  });

  it('never touches the prototype of anything', () => {
    const body = readForm(
      '__proto__[polluted]=1&a[__proto__][polluted]=1&constructor[prototype][polluted]=1',
    );
    expect(Object.getPrototypeOf(body)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('reads back whatever is written as a form', () => {
    const text = fc.string({ unit: 'binary', maxLength: 20 });
    const message = fc.record({ role: text, content: text });
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 12 }), text, (messages, user) => {
        const form = new URLSearchParams({ user });
        for (const [at, { role, content }] of messages.entries()) {
          form.append(`messages[${at}][role]`, role);
          form.append(`messages[${at}][content]`, content);
        }
        expect(readForm(form.toString())).toEqual({ user, messages });
      }),
    );
  });

  it('takes one pass over forms made to be slow', () => {
    const numbered = (count: number) => {
      const members = Array.from({ length: count }, (_, at) => `a[${at + count}]=1`).join('&');
      return `${members}&${'a[]=1&'.repeat(count)}`;
    };
    const names = (count: number) => `${'&a'.repeat(count)}=`;
    const brackets = (count: number) => `${'a['.repeat(count)}=1`;
    expect(timeGrowth(readForm, numbered, 18)).toBeLessThan(LINEAR_GROWTH_MAX);
    expect(timeGrowth(readForm, names, 30_000)).toBeLessThan(LINEAR_GROWTH_MAX);
    expect(timeGrowth(readForm, brackets, 8_000)).toBeLessThan(LINEAR_GROWTH_MAX);
  });
});
