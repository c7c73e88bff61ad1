import { randomInt } from 'node:crypto';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SECRET_LENGTH = 48;
const PREFIX_LENGTH = 7;
const SUFFIX_LENGTH = 4;

/** What a key is hashed for: the gateway looks callers up by the same use. */
export const API_KEY_USE = 'api-key';

/** A new API key: `sk-` and 48 characters of base62, 285 random bits, each character equally likely. */
export function generateApiKey(): string {
  const characters = Array.from({ length: SECRET_LENGTH }, () => ALPHABET.charAt(randomInt(ALPHABET.length)));
  return `sk-${characters.join('')}`;
}

/** What is kept of a key to recognise it by. */
export function displayParts(key: string): { prefix: string; last4: string } {
  return { prefix: key.slice(0, PREFIX_LENGTH), last4: key.slice(-SUFFIX_LENGTH) };
}
