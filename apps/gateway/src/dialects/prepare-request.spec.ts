import { DIALECT_NAMES } from '@tollgate/contracts';
import { DIALECT_PROFILES, type Operation } from './dialect-profile.js';
import { prepareBody } from './prepare-request.js';

const { openai, app4gpt, xiaoyi } = DIALECT_PROFILES;
const hello = { role: 'user', content: 'hello' };

describe('prepareBody', () => {
  it('leaves a body for OpenAI alone', () => {
    const body = { messages: [{ role: 'assitant', content: '' }] };
    expect(prepareBody(body, 'chat', openai)).toEqual({ body, headers: {} });
  });

  it.each<[Operation, string, string]>([
    ['chat', 'gpt-3.5-turbo', 'gpt-3.5'],
    ['completions', 'gpt-3.5-turbo', 'gpt-3.5'],
    ['embeddings', 'text-embedding-ada-002', 'text-embedding-ada-002'],
  ])('names the default model of %s where none is named', (operation, usual, short) => {
    for (const model of [undefined, null, '']) {
      const body = { model, messages: [hello] };
      expect(prepareBody(body, operation, app4gpt).body.model).toBe(usual);
      expect(prepareBody(body, operation, xiaoyi).body.model).toBe(short);
      expect(prepareBody(body, operation, openai).body.model).toBe(model);
    }
    expect(prepareBody({ model: 'm', messages: [hello] }, operation, xiaoyi).body.model).toBe('m');
  });

  it('mends the role that clients copied misspelled, and nothing else of a message', () => {
    const messages = [hello, { role: 'assitant', content: 'hi', name: 'bot' }, hello, 'odd', null];
    expect(prepareBody({ model: 'm', messages }, 'chat', app4gpt).body.messages).toEqual([
      hello,
      { role: 'assistant', content: 'hi', name: 'bot' },
      hello,
      'odd',
      null,
    ]);
  });

  it('mends roles before it holds a conversation to its rules', () => {
    const messages = [hello, { role: 'assitant', content: 'hi' }, hello];
    expect(prepareBody({ messages }, 'chat', xiaoyi).body.messages).toHaveLength(3);
  });

  it('tells how much history was dropped', () => {
    const long = { role: 'user', content: 'x'.repeat(1_500) };
    const messages = [long, { role: 'assistant', content: 'hi' }, long];
    expect(prepareBody({ messages }, 'chat', xiaoyi)).toEqual({
      body: { model: 'gpt-3.5', messages: [long] },
      headers: { 'x-history-dropped': '2' },
    });
  });

  it('holds only the dialect with rules to them, and only in chat', () => {
    const messages = [hello, hello];
    for (const name of DIALECT_NAMES) {
      const prepare = (): unknown => prepareBody({ messages }, 'chat', DIALECT_PROFILES[name]);
      if (name === 'xiaoyi') expect(prepare).toThrow('must be odd');
      else expect(prepare).not.toThrow();
    }
    expect(prepareBody({ prompt: 'x', messages }, 'completions', xiaoyi).headers).toEqual({});
  });
});
