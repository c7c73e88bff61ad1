import { RequestProblem, invalidType } from './request-problem.js';

/**
 * Reads what legacy completions call `prompt` and embeddings call `input`: a text, texts, token numbers, or arrays of
 * them. @throws RequestProblem
 */
export function readTexts(value: unknown, param: string): readonly (string | readonly number[])[] {
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value)) throw invalidType(param, 'a string or an array', value);
  const items: readonly unknown[] = value;
  if (items.length === 0) {
    throw new RequestProblem({
      message: `Invalid '${param}': empty array. Expected an array with minimum length 1, but got an empty array instead.`,
      param,
      code: 'empty_array',
    });
  }
  if (isTokens(items)) return [items];
  return items.map((item, position) => {
    if (typeof item === 'string' || isTokens(item)) return item;
    throw invalidType(`${param}[${String(position)}]`, 'a string or an array of integers', item);
  });
}

function isTokens(value: unknown): value is readonly number[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((token) => Number.isSafeInteger(token) && Number(token) >= 0)
  );
}
