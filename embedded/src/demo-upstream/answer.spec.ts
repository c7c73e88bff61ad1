import { parseChatRequest } from '@tollgate/openai';
import { answerPrompt } from './answer.js';
import { completionBody, completionFrames, type Completion } from './completion.js';
import { countPromptTokens, lastUserText } from './prompt.js';
import { encodeText } from './tokens.js';

describe('answerPrompt', () => {
  it('quotes the prompt and always answers it the same way', () => {
    const answer = answerPrompt({ prompt: 'How are you?', outputTokensCap: null });
    expect(answer.pieces.join('')).toContain('You wrote: “How are you?”');
    expect(answer.pieces.join('')).toContain('3 words and 12 letters');
    expect(answer.finishReason).toBe('stop');
    expect(answer).toEqual(answerPrompt({ prompt: 'How are you?', outputTokensCap: null }));
  });

  it('ends at the cap on output tokens and says so', () => {
    const answer = answerPrompt({ prompt: 'How are you?', outputTokensCap: 5 });
    expect(answer).toMatchObject({ tokens: 5, finishReason: 'length' });
    expect(encodeText(answer.pieces.join(''))).toHaveLength(5);
  });

  it('ends before a stop word', () => {
    const answer = answerPrompt({ prompt: 'hi', outputTokensCap: null, stops: ['never', ' You'] });
    expect(answer.pieces.join('')).toBe('Hello!');
    expect(answer.finishReason).toBe('stop');
  });
});

describe('the prompt', () => {
  const request = parseChatRequest({
    model: 'demo-chat',
    messages: [
      { role: 'system', content: 'Be kind.' },
      { role: 'user', name: 'ann', content: [{ type: 'text', text: 'hello world' }, { type: 'image_url' }] },
    ],
  });

  it('is counted by the rule of the cookbook', () => {
    // 3 of priming, 3 + 1 (system) + 3 (Be kind.), 3 + 1 (user) + 2 (hello world) + 1 + 1 (ann).
    expect(countPromptTokens(request)).toBe(3 + 7 + 6 + 2);
  });

  it('is what the user said last', () => {
    expect(lastUserText(request)).toBe('hello world');
  });
});

describe('a completion', () => {
  const completion = (body: Record<string, unknown>): Completion => {
    const request = parseChatRequest({
      model: 'demo-chat',
      messages: [{ role: 'user', content: 'hi' }],
      ...body,
    });
    return {
      id: 'chatcmpl-1',
      createdS: 1,
      request,
      promptTokens: 8,
      answer: answerPrompt({ prompt: 'hi', outputTokensCap: 3 }),
    };
  };

  it('reports what it delivered, for all choices together', () => {
    expect(completionBody(completion({ n: 2 }))).toMatchObject({
      object: 'chat.completion',
      choices: [{ index: 0, finish_reason: 'length' }, { index: 1 }],
      usage: { prompt_tokens: 8, completion_tokens: 6, total_tokens: 14 },
    });
  });

  it('streams the role, the pieces, the reason, the usage if asked, and [DONE]', () => {
    const asked = { stream: true, stream_options: { include_usage: true } };
    const frames = [...completionFrames(completion(asked))];
    const chunks = frames.slice(0, -1).map((frame) => JSON.parse(frame.slice('data: '.length)) as unknown);
    expect(chunks[0]).toMatchObject({
      choices: [{ delta: { role: 'assistant', content: '' }, finish_reason: null }],
      usage: null,
    });
    expect(chunks.at(-2)).toMatchObject({ choices: [{ delta: {}, finish_reason: 'length' }], usage: null });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 3 } });
    expect(frames.at(-1)).toBe('data: [DONE]\n\n');
    expect(frames).toHaveLength(3 + 4);
  });

  it('says nothing of usage in a stream that did not ask', () => {
    expect([...completionFrames(completion({ stream: true }))].join('')).not.toContain('usage');
  });
});
