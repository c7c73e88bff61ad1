import { parseCompletionRequest } from '@tollgate/openai';
import { completionByChatForm, completionForm } from './completion-form.js';
import type { UpstreamForm } from './upstream-form.js';

const identity = { key: '1', created: 1, model: 'asked-for' };
const call = { upstreamModel: 'up', affordableOutputTokens: null };

function bridge(members: object): UpstreamForm {
  const form = completionByChatForm(parseCompletionRequest({ model: 'm', ...members }));
  if (form === null) throw new Error('chat cannot do this');
  return form;
}

describe('a legacy completion', () => {
  it('goes to a completions API as it was sent, and to a chat API as one user message for each prompt', () => {
    const members = { prompt: ['a', 'b'], max_tokens: 7, temperature: 0.5, stop: ['x'], suffix: null };
    const native = completionForm(parseCompletionRequest({ model: 'm', ...members }));
    expect([native.path, native.body(call)]).toEqual(['/completions', { model: 'up', ...members }]);
    expect([bridge(members).path, bridge(members).body(call)]).toEqual([
      '/chat/completions',
      {
        model: 'up',
        messages: [
          { role: 'user', content: 'a' },
          { role: 'user', content: 'b' },
        ],
        max_tokens: 7,
        stream: false,
        temperature: 0.5,
        stop: ['x'],
      },
    ]);
  });

  it('is not asked of a chat API where chat cannot do it', () => {
    expect(completionByChatForm(parseCompletionRequest({ model: 'm', prompt: 'a', echo: true }))).toBeNull();
  });

  it('gets chat’s plain answer as text', () => {
    const upstream = {
      created: 5,
      choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'length' }],
      usage: { prompt_tokens: 1, completion_tokens: 1 },
    };
    expect(bridge({ prompt: 'a' }).readAnswer(JSON.stringify(upstream), identity).body).toEqual({
      id: 'cmpl-1',
      object: 'text_completion',
      created: 5,
      model: 'asked-for',
      choices: [{ text: 'hi', index: 0, logprobs: null, finish_reason: 'length' }],
      system_fingerprint: null,
    });
  });

  it.each([
    ['chat', (text: string) => ({ delta: { content: text } })],
    ['completions', (text: string) => ({ text })],
  ])('gets the stream of a %s API in chunks of text', (_api, piece) => {
    const reader = bridge({ prompt: 'a', stream: true, stream_options: { include_usage: true } }).readStream(
      identity,
    );
    const chunks = [
      { choices: [{ index: 0, ...piece('') }] },
      { choices: [{ index: 0, ...piece('he') }] },
      { choices: [{ index: 0, ...piece('y'), finish_reason: 'stop' }] },
      { choices: [], usage: { prompt_tokens: 1 } },
    ];
    const written = chunks.map((chunk) => reader.read(JSON.stringify(chunk))).join('');
    const read = written
      .split('\n\n')
      .filter(Boolean)
      .map((event) => JSON.parse(event.slice(6)));
    expect(read.map(({ choices }) => [choices[0].text, choices[0].finish_reason])).toEqual([
      ['he', null],
      ['y', 'stop'],
    ]);
    expect(read.every(({ object, usage }) => object === 'text_completion' && usage === null)).toBe(true);
    expect([reader.usage, reader.outputBytes, reader.isFinished]).toEqual([{ prompt_tokens: 1 }, 3, true]);
    expect(reader.finish()).toBe('');
  });
});
