import { DIALECT_PROFILES } from './dialect-profile.js';
import { spellModel, standInsFor } from './model-names.js';

const { openai, app4gpt, xiaoyi, apigpt, 'apigpt-azure': azure } = DIALECT_PROFILES;

describe('standInsFor', () => {
  it.each([
    ['gpt-3.5', 'gpt-3.5-turbo'],
    ['gpt-35-turbo', 'gpt-3.5-turbo'],
    ['gpt-3.5-turbo-0301', 'gpt-3.5-turbo'],
    ['gpt-3.5-turbo-16k-0613', 'gpt-3.5-turbo-16k'],
    ['gpt-35-turbo-16k', 'gpt-3.5-turbo-16k'],
    ['gpt-4-0613', 'gpt-4'],
    ['text-davinci-003', 'gpt-3.5-turbo-instruct'],
    ['text-embedding-ada-002', 'text-embedding-3-small'],
  ])('knows who stands in for %s', (model, first) => {
    expect(standInsFor(model, app4gpt)[0]).toBe(first);
    expect(standInsFor(model, xiaoyi)[0]).toBe(first);
  });

  it('never lets the dearer GPT-4 stand in for a cheaper preview', () => {
    for (const preview of ['gpt-4-1106-preview', 'gpt-4-vision-preview']) {
      expect(standInsFor(preview, app4gpt)).not.toContain('gpt-4');
    }
  });

  it('lets nobody stand in for other models, nor for OpenAI’s clients', () => {
    expect(standInsFor('gpt-4', app4gpt)).toEqual([]);
    expect(standInsFor('constructor', app4gpt)).toEqual([]);
    expect(standInsFor('gpt-3.5', openai)).toEqual([]);
  });
});

describe('spellModel', () => {
  it('spells as Azure does only where that is asked for', () => {
    expect(spellModel('gpt-3.5-turbo', azure)).toBe('gpt-35-turbo');
    expect(spellModel('gpt-3.5-turbo-16k', azure)).toBe('gpt-35-turbo-16k');
    expect(spellModel('gpt-4', azure)).toBe('gpt-4');
    expect(spellModel('my-gpt-3.5-turbo', azure)).toBe('my-gpt-3.5-turbo');
    expect(spellModel('gpt-3.5-turbo', apigpt)).toBe('gpt-3.5-turbo');
  });
});
