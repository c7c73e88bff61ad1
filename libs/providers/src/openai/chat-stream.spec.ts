import { ChatStreamReader } from './chat-stream.js';
import { FailedFinishError } from './finish-reason.js';
import { UpstreamStreamError } from './upstream-form.js';

const identity = { key: '1', created: 1_700_000_000, model: 'asked-for' };
const shown = { id: 'chatcmpl-1', created: 1_700_000_000, model: 'asked-for' };

function readAll(reader: ChatStreamReader, chunks: readonly unknown[]): Record<string, any>[] {
  const text = chunks
    .map((chunk) => reader.read(typeof chunk === 'string' ? chunk : JSON.stringify(chunk)))
    .join('');
  return parse(text);
}

function parse(text: string): Record<string, any>[] {
  return text
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => JSON.parse(event.replace(/^data: /, '')) as Record<string, any>);
}

const delta = (content: unknown, more: object = {}): object => ({
  id: 'gen-9',
  model: 'vendor/model',
  choices: [{ index: 0, delta: { content, ...more }, finish_reason: null }],
});
const finish = { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] };

describe('ChatStreamReader', () => {
  it('gives every chunk one id, creation time and model, and the role once', () => {
    const reader = new ChatStreamReader(identity, false);
    const chunks = readAll(reader, [
      delta('Hi'),
      delta(' there', { role: 'assistant' }),
      delta('!', { role: '' }),
      finish,
      '[DONE]',
    ]);
    expect(chunks.map(({ id, created, model }) => ({ id, created, model }))).toEqual(chunks.map(() => shown));
    expect(chunks.map(({ choices }) => choices[0].delta)).toEqual([
      { role: 'assistant', content: 'Hi' },
      { content: ' there' },
      { content: '!' },
      {},
    ]);
    expect(chunks.at(-1)?.choices[0].finish_reason).toBe('stop');
    expect(reader.outputBytes).toBe(9);
    expect(reader.outputDeltas).toBe(3);
  });

  it('takes usage from wherever vendors put it, the last one standing, and never forwards it on a chunk', () => {
    const places = [
      [delta('a'), { ...finish, usage: { prompt_tokens: 1 } }],
      [delta('a'), finish, { choices: [], usage: { prompt_tokens: 1 } }],
      [delta('a'), { choices: [{ ...finish.choices[0], usage: { prompt_tokens: 1 } }] }],
      [delta('a'), { ...finish, x_groq: { usage: { prompt_tokens: 1 } } }],
      [
        { ...delta('a'), usage: { prompt_tokens: 0 } },
        { ...finish, usage: { prompt_tokens: 1 } },
      ],
    ];
    for (const chunks of places) {
      const reader = new ChatStreamReader(identity, false);
      expect(readAll(reader, chunks).some((chunk) => 'usage' in chunk)).toBe(false);
      expect(reader.usage).toEqual({ prompt_tokens: 1 });
    }
  });

  it('writes a null usage on every chunk and the usage on one of its own where it was asked for', () => {
    const reader = new ChatStreamReader(identity, true);
    expect(readAll(reader, [delta('a'), finish]).every((chunk) => chunk.usage === null)).toBe(true);
    expect(parse(reader.writeUsage({ prompt_tokens: 1 }))).toEqual([
      { ...shown, object: 'chat.completion.chunk', choices: [], usage: { prompt_tokens: 1 } },
    ]);
  });

  it('drops chunks without choices, empty data, and whatever follows the end', () => {
    const reader = new ChatStreamReader(identity, false);
    expect(
      readAll(reader, [{ choices: [], prompt_filter_results: [] }, '', finish, '[DONE]', delta('late')]),
    ).toHaveLength(1);
  });

  it('gives tool calls a numeric index, an id, a type and a name once', () => {
    const reader = new ChatStreamReader(identity, false);
    const call = (fields: object): object => delta(null, { tool_calls: [fields] });
    const chunks = readAll(reader, [
      call({ id: 'call_1', type: 'function', function: { name: 'f', arguments: '' } }),
      call({ index: 0, id: 'call_1', type: 'function', function: { name: 'f', arguments: '{"a"' } }),
      call({ index: 0, function: { arguments: ':1}' } }),
      call({ index: 0, id: 'call_2', function: { name: 'g', arguments: { b: 2 } } }),
    ]);
    expect(chunks.map(({ choices }) => choices[0].delta.tool_calls[0])).toEqual([
      { index: 0, id: 'call_1', type: 'function', function: { name: 'f', arguments: '' } },
      { index: 0, function: { arguments: '{"a"' } },
      { index: 0, function: { arguments: ':1}' } },
      { index: 1, id: 'call_2', type: 'function', function: { name: 'g', arguments: '{"b":2}' } },
    ]);
  });

  it('fails for an error frame, a chunk that is no JSON, and a finish reason that means failure', () => {
    const reader = new ChatStreamReader(identity, false);
    expect(() => reader.read('{"error":{"message":"overloaded"}}')).toThrow(UpstreamStreamError);
    expect(() => reader.read('not json')).toThrow(UpstreamStreamError);
    expect(() =>
      readAll(reader, [
        { choices: [{ index: 0, delta: {}, finish_reason: 'insufficient_system_resource' }] },
      ]),
    ).toThrow(FailedFinishError);
    expect(reader.read(JSON.stringify({ ...delta('x'), error: null }))).not.toContain('error');
  });

  it('finishes for an upstream that forgot to, but only after its [DONE]', () => {
    const cut = new ChatStreamReader(identity, false);
    readAll(cut, [delta('a')]);
    expect(() => cut.finish()).toThrow(UpstreamStreamError);
    const done = new ChatStreamReader(identity, false);
    readAll(done, [delta('a'), '[DONE]']);
    expect(parse(done.finish())[0]?.choices[0].finish_reason).toBe('stop');
    expect(done.finish()).toBe('');
  });

  it('cuts every unfinished choice off with length', () => {
    const reader = new ChatStreamReader(identity, false);
    readAll(reader, [delta('a'), { choices: [{ index: 1, delta: { content: 'b' } }] }, finish]);
    expect(
      parse(reader.writeFinish('length')).map(({ choices }) => [choices[0].index, choices[0].finish_reason]),
    ).toEqual([[1, 'length']]);
  });

  it.each([
    ['', null],
    ['sensitive', 'content_filter'],
    ['model_context_window_exceeded', 'length'],
    ['eos', 'stop'],
  ])('writes the finish reason %p as %p', (given, expected) => {
    const reader = new ChatStreamReader(identity, false);
    const [chunk] = readAll(reader, [
      { choices: [{ index: 0, delta: { content: 'a' }, finish_reason: given }] },
    ]);
    expect(chunk?.choices[0].finish_reason).toBe(expected);
  });
});
