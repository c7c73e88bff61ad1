import { ConformanceBench, MODEL } from './conformance-bench.js';
import { CANARY, DONE, frame, refuses, says, usage } from './scripted-upstream.js';

/** A model whose deployment has chat and embeddings only. */
const CHAT_ONLY = 'chat-only';

let bench: ConformanceBench;

beforeAll(async () => {
  bench = await ConformanceBench.start();
  await bench.sell(CHAT_ONLY, { deployment: { apis: ['chat', 'embeddings'] } });
  await bench.sell('unknown-apis');
  await bench.untilSold(CHAT_ONLY);
  await bench.untilSold('unknown-apis');
});

afterEach(() => bench.audit());
afterAll(() => bench?.close());

function complete(members: Record<string, unknown> = {}) {
  return bench.ask({ path: '/v1/completions', json: { model: MODEL, prompt: 'Once', ...members } });
}

function embed(members: Record<string, unknown> = {}) {
  return bench.ask({ path: '/v1/embeddings', json: { model: MODEL, input: 'hi', ...members } });
}

function eventsOf(text: string): any[] {
  expect(text.endsWith(`\n\n${DONE}`)).toBe(true);
  const blocks = text.split('\n\n').filter((block) => block.startsWith('data: {'));
  return blocks.map((block) => JSON.parse(block.slice('data: '.length)));
}

describe('completions', () => {
  it('C-210 answers a text completion with every member', async () => {
    const { json } = await complete();
    expect(json).toMatchObject({
      id: expect.stringMatching(/^cmpl-/),
      object: 'text_completion',
      created: expect.any(Number),
      model: MODEL,
      choices: [{ text: 'Once upon', index: 0, logprobs: null, finish_reason: 'stop' }],
      usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
    });
    expect(bench.upstream.lastCall.path).toBe('/v1/completions');
  });

  it.each(['text', ['one', 'two'], [1, 2, 3], [[1, 2], [3]]].map((prompt) => [prompt]))(
    'C-211 takes the prompt %j and forwards it',
    async (prompt) => {
      const { status } = await complete({ prompt });
      expect(status).toBe(200);
      expect(bench.upstream.lastCall.body.prompt).toEqual(prompt);
    },
  );

  it.each([[7], [{}], [[]], [[null]], [[-1]]])('C-211 refuses the prompt %j', async (prompt) => {
    const { status, json } = await complete({ prompt });
    expect(json.error.param).toMatch(/^prompt/);
    expect(status).toBe(400);
  });

  it('C-212 takes a request without a prompt, and holds for 16 tokens where no cap is given', async () => {
    const poor = await bench.openAccount('0.0005');
    const { status } = await bench.ask({
      path: '/v1/completions',
      key: poor.apiKey,
      json: { model: MODEL },
    });
    expect(status).toBe(200);
  });

  it('C-213 asks a chat model with one user message, and writes its answer as a completion', async () => {
    const { json, status } = await complete({ model: CHAT_ONLY, temperature: 0.5 });
    expect(status).toBe(200);
    expect(bench.upstream.lastCall.path).toBe('/v1/chat/completions');
    expect(bench.upstream.lastCall.body).toMatchObject({
      messages: [{ role: 'user', content: 'Once' }],
      max_tokens: 16,
      temperature: 0.5,
    });
    expect(json).toMatchObject({
      id: expect.stringMatching(/^cmpl-/),
      object: 'text_completion',
      model: CHAT_ONLY,
      choices: [{ text: 'Hello there.', index: 0, logprobs: null, finish_reason: 'stop' }],
      usage: { prompt_tokens: 13, completion_tokens: 7 },
    });
  });

  it('C-214 asks by chat where the upstream answers 404 for completions, and remembers it', async () => {
    bench.upstream.answerNext(refuses(404));
    const first = await complete({ model: 'unknown-apis' });
    expect(first.status).toBe(200);
    expect(bench.upstream.calls.map(({ path }) => path)).toEqual(['/v1/completions', '/v1/chat/completions']);
    await complete({ model: 'unknown-apis' });
    expect(bench.upstream.calls).toHaveLength(3);
  });

  it.each([
    [{ prompt: [1, 2, 3] }, 'prompt'],
    [{ echo: true }, 'echo'],
    [{ best_of: 2 }, 'best_of'],
    [{ logprobs: 3 }, 'logprobs'],
  ])('C-215 refuses of a chat model what chat cannot do: %j', async (members, param) => {
    const { status, json } = await complete({ model: CHAT_ONLY, ...members });
    expect(json.error).toMatchObject({ type: 'invalid_request_error', param });
    expect(status).toBe(400);
  });

  it.each([MODEL, CHAT_ONLY])('C-216 streams chunks of a text completion: %s', async (model) => {
    const { text, headers } = await complete({ model, stream: true });
    expect(headers['content-type']).toBe('text/event-stream; charset=utf-8');
    const events = eventsOf(text);
    for (const event of events) {
      expect(event).toMatchObject({
        id: events[0].id,
        object: 'text_completion',
        created: events[0].created,
        model,
        choices: [{ text: expect.any(String), index: 0, logprobs: null }],
      });
      expect(event).not.toHaveProperty('usage');
      expect(event.choices[0]).not.toHaveProperty('delta');
    }
    expect(events.at(-1).choices[0].finish_reason).toBe('stop');
    expect(events.map(({ choices }) => choices[0].text).join('')).toBe(
      model === MODEL ? 'Once upon' : 'Hello',
    );
  });

  it('C-217 gives the usage of a stream to who asks for it', async () => {
    const { text } = await complete({ stream: true, stream_options: { include_usage: true } });
    const events = eventsOf(text);
    expect(events.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 7 } });
    for (const event of events.slice(0, -1)) expect(event.usage).toBeNull();
  });

  it('C-218 forwards the parameters of completions as they are', async () => {
    const members = { suffix: 'end', logprobs: 2, echo: true, best_of: 3, n: 2, stop: ['a'], seed: 1 };
    expect((await complete(members)).status).toBe(200);
    expect(bench.upstream.lastCall.body).toMatchObject(members);
  });

  it.each([
    ['n', 129],
    ['best_of', 21],
    ['logprobs', 6],
    ['max_tokens', -1],
  ])('C-219 refuses %s = %j', async (param, value) => {
    const { status, json } = await complete({ [param]: value });
    expect(json.error.param).toBe(param);
    expect(status).toBe(400);
  });
});

/** The numbers in a base64 text of little-endian floats of 32 bits. */
function decoded(text: string): number[] {
  const bytes = Buffer.from(text, 'base64');
  return Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readFloatLE(at * 4));
}

function encoded(numbers: readonly number[]): string {
  return Buffer.from(new Float32Array(numbers).buffer).toString('base64');
}

function answers(embeddings: readonly unknown[], more: Record<string, unknown> = {}): void {
  const data = embeddings.map((embedding, index) => ({ object: 'embedding', index, embedding }));
  bench.upstream.answer(
    says({ object: 'list', data, model: CANARY, usage: { prompt_tokens: 4, total_tokens: 4 }, ...more }),
  );
}

describe('embeddings', () => {
  it.each(['text', ['one', 'two'], [1, 2, 3], [[1, 2], [3]]].map((input) => [input]))(
    'C-220 takes the input %j and forwards it',
    async (input) => {
      const { status, json } = await embed({ input });
      expect(status).toBe(200);
      expect(bench.upstream.lastCall.body.input).toEqual(input);
      expect(json.data).toHaveLength(Array.isArray(input) && typeof input[0] !== 'number' ? 2 : 1);
    },
  );

  it.each(['floats', 'base64'])('C-221 answers base64 where it was asked for, from %s', async (kind) => {
    const numbers = [0.5, -0.25, 1e-3];
    answers([kind === 'floats' ? numbers : encoded(numbers)]);
    const { json } = await embed({ encoding_format: 'base64' });
    expect(decoded(json.data[0].embedding)).toEqual(Array.from(new Float32Array(numbers)));
  });

  it.each(['floats', 'base64'])(
    'C-222 answers floats where nothing else was asked for, from %s',
    async (kind) => {
      for (const members of [{}, { encoding_format: 'float' }]) {
        answers([kind === 'floats' ? [0.5, -0.25] : encoded([0.5, -0.25])]);
        const { json } = await embed(members);
        expect(json.data[0].embedding).toEqual([0.5, -0.25]);
      }
    },
  );

  it('C-223 orders by index, and has the exact objects', async () => {
    const data = [2, 0, 1].map((index) => ({ object: 'embedding', index, embedding: [index] }));
    answers([], { data });
    const { json } = await embed({ input: ['a', 'b', 'c'] });
    expect(json).toEqual({
      object: 'list',
      data: [0, 1, 2].map((index) => ({ object: 'embedding', index, embedding: [index] })),
      model: MODEL,
      usage: { prompt_tokens: 4, total_tokens: 4 },
    });
  });

  it.each(
    [undefined, null, '', [], [''], ['a', ''], 7, Array.from({ length: 2_049 }, () => 'a')].map((it) => [it]),
  )('C-224 refuses the input %.40j', async (input) => {
    const { status, json } = await embed({ input });
    expect(json.error.param).toMatch(/^input/);
    expect(status).toBe(400);
    expect(bench.upstream.calls).toEqual([]);
  });

  it('C-225 forwards dimensions and user, refuses other encodings', async () => {
    await embed({ dimensions: 3, user: 'u' });
    expect(bench.upstream.lastCall.body).toMatchObject({ dimensions: 3, user: 'u' });
    expect((await embed({ encoding_format: 'hex' })).json.error.param).toBe('encoding_format');
  });

  it('C-226 charges the input tokens, estimated where the upstream does not count', async () => {
    const counted = await embed({ input: ['a', 'b'] });
    expect(await bench.usageOf(counted.requestId)).toMatchObject({ cost: '8000', usage_source: 'provider' });
    answers([[1]], { usage: undefined });
    const uncounted = await embed({ input: 'some eight letters' });
    expect(uncounted.json.usage.prompt_tokens).toBe(uncounted.json.usage.total_tokens);
    expect(uncounted.json.usage.total_tokens).toBeGreaterThan(0);
    expect(await bench.usageOf(uncounted.requestId)).toMatchObject({ usage_source: 'estimated' });
  });

  it.each([
    ['no data', { data: [] }],
    ['broken numbers', { data: [{ object: 'embedding', index: 0, embedding: ['x'] }] }],
    ['an error with 200', { error: { message: CANARY } }],
  ])('C-227 answers 502 where the upstream answers %s', async (_name, more) => {
    answers([], { ...more, ...('error' in more && { data: undefined }) });
    expect((await embed()).status).toBe(502);
  });

  it('C-228 does not stream', async () => {
    bench.upstream.answer(says({ ...usage(1, 1), data: frame({}) }));
    expect((await embed({ stream: true })).headers['content-type']).toMatch(/^application\/json/);
  });
});
