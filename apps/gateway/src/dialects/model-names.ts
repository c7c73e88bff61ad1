import type { DialectProfile } from './dialect-profile.js';

const TURBO = ['gpt-3.5-turbo'] as const;
const LONG_TURBO = ['gpt-3.5-turbo-16k', 'gpt-3.5-turbo'] as const;
const GPT_4 = ['gpt-4', 'gpt-4-turbo', 'gpt-4o'] as const;
const GPT_4_TURBO = ['gpt-4-turbo', 'gpt-4o'] as const;

/**
 * What stands in for models that clients of these dialects still ask for, the nearest first. None is listed dearer
 * than the model that it stands in for, and those for embeddings give vectors of the same 1,536 dimensions.
 */
const STAND_INS: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ['gpt-3.5', TURBO],
  ['gpt-35-turbo', TURBO],
  ['gpt-3.5-turbo-0301', TURBO],
  ['gpt-3.5-turbo-0613', TURBO],
  ['gpt-3.5-turbo-1106', TURBO],
  ['gpt-3.5-turbo-16k', TURBO],
  ['gpt-35-turbo-16k', LONG_TURBO],
  ['gpt-3.5-turbo-16k-0613', LONG_TURBO],
  ['gpt-4-0314', GPT_4],
  ['gpt-4-0613', GPT_4],
  ['gpt-4-32k', GPT_4_TURBO],
  ['gpt-4-32k-0613', ['gpt-4-32k', ...GPT_4_TURBO]],
  ['gpt-4-1106-preview', GPT_4_TURBO],
  ['gpt-4-vision-preview', GPT_4_TURBO],
  ['text-davinci-003', ['gpt-3.5-turbo-instruct', ...TURBO]],
  ['text-embedding-ada-002', ['text-embedding-3-small']],
]);

const NONE: readonly string[] = [];

/** The models that may answer where the one asked for is not sold, the nearest first. */
export function standInsFor(model: string, profile: DialectProfile): readonly string[] {
  return profile.isTolerant ? (STAND_INS.get(model) ?? NONE) : NONE;
}

/** The model as answers name it: Azure's names have no dot. */
export function spellModel(model: string, profile: DialectProfile): string {
  return profile.modelSpelling === 'azure' ? model.replace(/^gpt-3\.5(?=-|$)/, 'gpt-35') : model;
}
