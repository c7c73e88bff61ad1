import { displayParts, generateApiKey } from './api-key-secret.js';

describe('generateApiKey', () => {
  it('makes sk- and 48 base62 characters, never twice the same', () => {
    const keys = Array.from({ length: 200 }, generateApiKey);
    for (const key of keys) expect(key).toMatch(/^sk-[0-9A-Za-z]{48}$/);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('uses each character of the alphabet', () => {
    const characters = Array.from({ length: 200 }, generateApiKey).flatMap((key) => [...key.slice(3)]);
    expect(new Set(characters).size).toBe(62);
  });
});

it('keeps the first 7 and the last 4 characters of a key', () => {
  expect(displayParts('sk-abcdefgh-wxyz')).toEqual({ prefix: 'sk-abcd', last4: 'wxyz' });
});
