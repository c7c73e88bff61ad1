import { behaviourSchema, type BehaviourInput } from './behaviour.js';
import {
  answerText,
  chunkText,
  closingFrames,
  contentFrame,
  openingFrames,
  planChat,
  type ChatPlan,
} from './chat-frames.js';

function plan(
  behaviour: BehaviourInput = {},
  request: { includeUsage?: boolean; outputTokensMax?: number } = {},
): ChatPlan {
  const { includeUsage = false, outputTokensMax = Number.POSITIVE_INFINITY } = request;
  const chat = { model: 'fake-chat', streamed: true, includeUsage, outputTokensMax, promptBytes: 40 };
  return planChat('chatcmpl-1', chat, behaviourSchema.parse(behaviour));
}

function data(frames: string): unknown[] {
  return frames
    .split('\n\n')
    .filter((frame) => frame.startsWith('data: {'))
    .map((frame) => JSON.parse(frame.slice(6)) as unknown);
}

describe('the frames of the fake upstream', () => {
  it('make chunks of exactly the wanted bytes, each of them different', () => {
    const behaviour = behaviourSchema.parse({ chunkBytes: 10, alphabet: '你好é!' });
    const texts = Array.from({ length: 50 }, (_, index) => chunkText(behaviour, index));
    expect(texts.map((text) => Buffer.byteLength(text))).toEqual(Array.from({ length: 50 }, () => 10));
    expect(new Set(texts).size).toBe(50);
    expect(answerText(behaviour, 50)).toBe(texts.join(''));
  });

  it('stop at the cap on output tokens with finish_reason length', () => {
    expect(plan({ chunks: 10, tokensPerChunk: 3 }, { outputTokensMax: 10 })).toMatchObject({
      chunks: 3,
      finishReason: 'length',
    });
    expect(plan({ chunks: 3, tokensPerChunk: 3 }, { outputTokensMax: 9 })).toMatchObject({
      chunks: 3,
      finishReason: 'stop',
    });
  });

  it('report usage in a chunk of its own when asked, and null in all others', () => {
    const asked = plan({ chunks: 2 }, { includeUsage: true });
    const frames = data(openingFrames(asked) + contentFrame(asked, 0) + closingFrames(asked, 2));
    const usage = { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 };
    expect(frames.slice(0, -1)).toEqual(
      frames.slice(0, -1).map(() => expect.objectContaining({ usage: null })),
    );
    expect(frames.at(-1)).toMatchObject({ choices: [], usage });
  });

  it('leave usage out when nobody asked', () => {
    const silent = plan();
    expect(openingFrames(silent) + closingFrames(silent, 5)).not.toContain('usage');
  });

  it('end with [DONE] unless told otherwise', () => {
    expect(closingFrames(plan(), 1).endsWith('data: [DONE]\n\n')).toBe(true);
    expect(closingFrames(plan({ fault: 'no_done' }), 1)).not.toContain('[DONE]');
    expect(closingFrames(plan({ fault: 'no_finish_reason' }), 1)).not.toContain('"finish_reason":"stop"');
  });

  it('write lines as other servers do', () => {
    expect(openingFrames(plan({ quirks: ['crlf'] }))).toMatch(/^data: .*\r\n\r\n$/);
    expect(openingFrames(plan({ quirks: ['no_blank_after_data'] }))).toMatch(/^data:\{/);
    expect(contentFrame(plan({ quirks: ['comments'] }), 0)).toMatch(/^: PROCESSING\n\ndata: /);
    expect(data(openingFrames(plan({ quirks: ['azure_first_chunk'] })))[0]).toMatchObject({
      choices: [],
      id: '',
    });
    expect(data(contentFrame(plan({ quirks: ['empty_role', 'error_null'] }), 0))[0]).toMatchObject({
      error: null,
      choices: [{ delta: { role: '' } }],
    });
  });
});
