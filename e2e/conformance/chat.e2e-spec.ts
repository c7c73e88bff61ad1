import { ConformanceBench, MODEL, chatBody } from './conformance-bench.js';
import { CANARY, chatAnswer, says, usage } from './scripted-upstream.js';

const REASONER = 'o3-mini';
const USUAL_MEMBERS = ['model', 'messages'];

let bench: ConformanceBench;

beforeAll(async () => {
  bench = await ConformanceBench.start();
  await bench.sell(REASONER);
  await bench.untilSold(REASONER);
});

afterEach(() => bench.audit());
afterAll(() => bench?.close());

/** What a chat request with these members is refused with. */
async function refusal(members: Record<string, unknown>): Promise<any> {
  const { status, json } = await bench.chat(members);
  expect(json.error.type).toBe('invalid_request_error');
  expect(status).toBe(400);
  return json.error;
}

/** The body that the upstream gets for a chat request with these members. */
async function forwarded(members: Record<string, unknown>): Promise<any> {
  const { status, json } = await bench.chat(members);
  expect([status, json.error]).toEqual([200, undefined]);
  return bench.upstream.lastCall.body;
}

describe('chat-request', () => {
  it.each([
    'application/json',
    'application/json; charset=utf-8',
    'application/json;charset=UTF-8',
    'APPLICATION/JSON',
  ])('C-050 takes the content type %s', async (type) => {
    const answer = await bench.ask({
      headers: [['Content-Type', type]],
      body: JSON.stringify(chatBody()),
    });
    expect(answer.status).toBe(200);
  });

  it.each([undefined, null, ''])('C-051 refuses the model %s as a missing parameter', async (model) => {
    expect(await refusal({ model })).toMatchObject({
      param: 'model',
      code: 'missing_required_parameter',
      message: expect.stringContaining('you must provide a model parameter'),
    });
  });

  it.each([
    [undefined, 'messages', 'missing_required_parameter'],
    ['hi', 'messages', 'invalid_type'],
    [{}, 'messages', 'invalid_type'],
    [[], 'messages', 'empty_array'],
    [['hi'], 'messages[0]', 'invalid_type'],
    [[{ content: 'hi' }], 'messages[0].role', 'missing_required_parameter'],
    [[{ role: 7 }], 'messages[0].role', 'invalid_type'],
  ])('C-052 refuses the messages %j with the place and the reason', async (messages, param, code) => {
    expect(await refusal({ messages })).toMatchObject({ param, code });
  });

  it('C-053 takes messages in any order and any number', async () => {
    const messages = ['assistant', 'user', 'user', 'system', 'developer', 'tool', 'function'].map((role) => ({
      role,
      content: 'hi',
      ...(role === 'tool' && { tool_call_id: 'call_1' }),
      ...(role === 'function' && { name: 'f' }),
    }));
    expect((await forwarded({ messages })).messages).toEqual(messages);
    expect((await forwarded({ messages: messages.slice(0, 2) })).messages).toHaveLength(2);
  });

  it('C-054 forwards contents untouched: null, parts, images, audio, files, and what is unknown', async () => {
    const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } };
    const messages = [
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'call_1', content: [{ type: 'text', text: 'done' }] },
      {
        role: 'user',
        name: 'ann',
        content: [
          { type: 'text', text: 'look 看' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA', detail: 'low' } },
          { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } },
          { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,AAAA' } },
          { type: 'new_part', anything: [1, { two: 3 }] },
        ],
      },
    ];
    expect((await forwarded({ messages })).messages).toEqual(messages);
  });

  it.each([
    ['temperature', 2.1],
    ['temperature', -0.1],
    ['temperature', 'hot'],
    ['top_p', 1.1],
    ['presence_penalty', -2.1],
    ['frequency_penalty', 2.1],
    ['max_tokens', 0],
    ['max_tokens', 1.5],
    ['max_completion_tokens', -1],
  ])('C-055 refuses %s = %j and names it', async (param, value) => {
    expect(await refusal({ [param]: value })).toMatchObject({ param, code: expect.any(String) });
  });

  it.each([0, 129, 1.5, '2'])('C-056 refuses n = %j, and forwards one to 128', async (n) => {
    expect(await refusal({ n })).toMatchObject({ param: 'n' });
    expect(await forwarded({ n: 2, max_tokens: 5 })).toMatchObject({ n: 2 });
  });

  it.each(['true', 1, {}])('C-057 refuses stream = %j: only a boolean is one', async (stream) => {
    expect(await refusal({ stream })).toMatchObject({ param: 'stream', code: 'invalid_type' });
  });

  it('C-058 removes stream_options from a request that is not streamed', async () => {
    expect(await forwarded({ stream_options: { include_usage: true } })).not.toHaveProperty('stream_options');
    expect(await forwarded({ stream: false, stream_options: null })).not.toHaveProperty('stream_options');
  });

  it('C-059 takes any number of stops', async () => {
    const stop = ['a', 'b', 'c', 'd', 'e', 'f'];
    expect(await forwarded({ stop })).toMatchObject({ stop });
  });

  it('C-060 forwards output caps as sent, but to reasoning models as max_completion_tokens', async () => {
    expect(await forwarded({ max_tokens: 9 })).toMatchObject({ max_tokens: 9 });
    expect(await forwarded({ max_tokens: 9 })).not.toHaveProperty('max_completion_tokens');
    expect(await forwarded({ max_completion_tokens: 9 })).toMatchObject({ max_completion_tokens: 9 });
    const renamed = await forwarded({ model: REASONER, max_tokens: 9 });
    expect(renamed).toMatchObject({ max_completion_tokens: 9 });
    expect(renamed).not.toHaveProperty('max_tokens');
  });

  it('C-061 holds for the smaller of two output caps', async () => {
    const poor = await bench.openAccount('0.01');
    const answer = await bench.chat(
      { max_tokens: 4, max_completion_tokens: 1_000_000 },
      { key: poor.apiKey },
    );
    expect(answer.status).toBe(200);
    expect(bench.upstream.lastCall.body).toMatchObject({ max_tokens: 4, max_completion_tokens: 1_000_000 });
  });

  it('C-062 strips what legacy clients put into bodies', async () => {
    const body = await forwarded({ timeout: 20, request_timeout: 20, engine: MODEL, deployment_id: 'x' });
    expect(Object.keys(body).sort()).toEqual([...USUAL_MEMBERS].sort());
  });

  it('C-063 forwards members that it does not know', async () => {
    const extras = {
      enable_thinking: true,
      thinking: { type: 'enabled' },
      top_k: 5,
      chat_template_kwargs: { a: 1 },
      provider: { order: ['x'] },
      some_future_member: [null],
    };
    expect(await forwarded(extras)).toMatchObject(extras);
  });

  it('C-064 forwards every documented parameter untouched', async () => {
    const documented = {
      temperature: 0,
      top_p: 1,
      presence_penalty: -2,
      frequency_penalty: 2,
      logit_bias: { '50256': -100 },
      logprobs: true,
      top_logprobs: 5,
      seed: 7,
      tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
      tool_choice: 'auto',
      parallel_tool_calls: false,
      functions: [{ name: 'g' }],
      function_call: 'none',
      response_format: { type: 'json_schema', json_schema: { name: 's', schema: {} } },
      modalities: ['text'],
      prediction: { type: 'content', content: 'x' },
      reasoning_effort: 'low',
      verbosity: 'low',
      service_tier: 'flex',
      metadata: { a: 'b' },
      user: 'end-user',
      prompt_cache_key: 'k',
    };
    expect(await forwarded(documented)).toMatchObject(documented);
    expect(await refusal({ tools: {} })).toMatchObject({ param: 'tools', code: 'invalid_type' });
  });

  it('C-065 takes bodies of many megabytes', async () => {
    const url = `data:image/png;base64,${'A'.repeat(6_000_000)}`;
    const messages = [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }];
    expect((await forwarded({ messages })).messages[0].content[0].image_url.url).toHaveLength(url.length);
  });

  it('C-066 takes null for every parameter that may be absent', async () => {
    const nulls = { temperature: null, n: null, stop: null, max_tokens: null, stream: null, tools: null };
    expect((await bench.chat(nulls)).status).toBe(200);
  });

  it('C-067 always asks the upstream for the usage of a stream, and keeps the other options', async () => {
    await bench.chat({ stream: true });
    expect(bench.upstream.lastCall.body.stream_options).toEqual({ include_usage: true });
    await bench.chat({ stream: true, stream_options: { include_usage: false, include_obfuscation: false } });
    expect(bench.upstream.lastCall.body.stream_options).toEqual({
      include_usage: true,
      include_obfuscation: false,
    });
  });

  it('C-068 asks the upstream for its own name of the model', async () => {
    expect((await forwarded({})).model).toBe(`gpt-4o-${CANARY}`);
    expect(bench.upstream.lastCall.path).toBe('/v1/chat/completions');
  });
});

/** What the client gets where the upstream answers this. */
async function answered(body: unknown, members: Record<string, unknown> = {}): Promise<any> {
  bench.upstream.answer(says(body));
  const { status, json } = await bench.chat(members);
  expect([status, json?.error]).toEqual([200, undefined]);
  return json;
}

function withMessage(message: unknown, finishReason: unknown = 'stop'): Record<string, unknown> {
  return chatAnswer({ choices: [{ index: 0, message, finish_reason: finishReason }] });
}

describe('chat-answer', () => {
  it('C-070 has the exact object, an id of ours and the model that was asked for', async () => {
    expect(await answered(chatAnswer())).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-[\w]+$/),
      object: 'chat.completion',
      created: expect.any(Number),
      model: MODEL,
      service_tier: expect.any(String),
      system_fingerprint: null,
    });
  });

  it('C-071 has choices with every member that clients insist on', async () => {
    const { choices } = await answered(chatAnswer());
    expect(choices).toEqual([
      {
        index: 0,
        message: { role: 'assistant', content: 'Hello there.', refusal: null, annotations: [] },
        logprobs: null,
        finish_reason: 'stop',
      },
    ]);
  });

  it('C-072 writes tool calls with type function and arguments as a text, content null', async () => {
    const call = { id: 'call_1', function: { name: 'f', arguments: { a: 1 } } };
    const { choices } = await answered(withMessage({ tool_calls: [call] }, 'tool_calls'));
    expect(choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } });
    expect(choices[0].message.tool_calls).toEqual([
      { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } },
    ]);
  });

  it('C-073 has the usage that is charged, with its details', async () => {
    bench.upstream.answer(
      says(chatAnswer({ usage: { ...usage(13, 7), prompt_tokens_details: { cached_tokens: 3 } } })),
    );
    const { json, requestId } = await bench.chat();
    expect(json.usage).toEqual({
      prompt_tokens: 13,
      completion_tokens: 7,
      total_tokens: 20,
      prompt_tokens_details: { cached_tokens: 3, audio_tokens: 0, cache_write_tokens: 0 },
      completion_tokens_details: {
        reasoning_tokens: 0,
        audio_tokens: 0,
        accepted_prediction_tokens: 0,
        rejected_prediction_tokens: 0,
      },
    });
    // 13 at 1 and 7 at 2 credits per million tokens, in nano-credits.
    expect(await bench.usageOf(requestId)).toMatchObject({ cost: '27000', usage_source: 'provider' });
  });

  it('C-074 has no key named error, whatever the upstream adds', async () => {
    expect(await answered(chatAnswer({ error: null }))).not.toHaveProperty('error');
  });

  it('C-075 is JSON in plain UTF-8', async () => {
    bench.upstream.answer(says(JSON.stringify(withMessage({ content: '你好' })).replace('你', '\\u4f60')));
    const { text, headers } = await bench.chat();
    expect(text).toContain('你好');
    expect(headers['content-type']).toMatch(/^application\/json/);
  });

  it.each([undefined, null, usage(-1, 5), usage(5, 1.5)])(
    'C-076 has an estimated usage where the upstream reports %j',
    async (reported) => {
      bench.upstream.answer(says(chatAnswer({ usage: reported })));
      const { json, requestId } = await bench.chat();
      expect(json.usage.prompt_tokens).toBeGreaterThan(0);
      expect(json.usage.total_tokens).toBe(json.usage.prompt_tokens + json.usage.completion_tokens);
      expect(await bench.usageOf(requestId)).toMatchObject({ usage_source: 'estimated' });
    },
  );

  it('C-077 drops what OpenAI does not send', async () => {
    const choice = {
      index: 0,
      message: { role: 'assistant', content: 'Hi', vendor_member: 1 },
      finish_reason: 'stop',
      content_filter_results: {},
    };
    const json = await answered(chatAnswer({ prompt_filter_results: [], provider: 'x', choices: [choice] }));
    expect(JSON.stringify(json)).not.toMatch(/filter_results|vendor|provider/);
  });

  it('C-078 has the reasoning under reasoning_content, whatever the upstream calls it', async () => {
    for (const name of ['reasoning', 'reasoning_content']) {
      const { choices } = await answered(withMessage({ content: 'Hi', [name]: 'hm' }));
      expect(choices[0].message.reasoning_content).toBe('hm');
    }
  });

  it('C-079 is read behind blank lines', async () => {
    expect(await answered(`\n\n \n${JSON.stringify(chatAnswer())}`)).toMatchObject({ model: MODEL });
  });

  it.each([
    ['sensitive', 'content_filter'],
    ['model_context_window_exceeded', 'length'],
    ['', 'stop'],
    [null, 'stop'],
    [undefined, 'stop'],
    ['function_call', 'function_call'],
  ])('C-080 writes the finish reason %j as %s', async (given, expected) => {
    const { choices } = await answered(withMessage({ content: 'Hi' }, given));
    expect(choices[0].finish_reason).toBe(expected);
  });

  it.each([
    [{ error: { message: 'no', code: 'x' } }],
    [{ code: 1, msg: 'no' }],
    [{ base_resp: { status_code: 1004, status_msg: 'no' } }],
    [{ ...chatAnswer(), choices: [] }],
    ['not JSON'],
    [''],
    [withMessage({ content: '' }, 'insufficient_system_resource')],
  ])('C-081 is never an error with 200: %j', async (body) => {
    bench.upstream.answer(says(body));
    const { status, json } = await bench.chat();
    expect(json.error).toMatchObject({ type: 'server_error', code: 'upstream_error' });
    expect(status).toBe(502);
  });

  it('C-082 tells in its head what was charged and what remains', async () => {
    bench.upstream.answer(says(chatAnswer({ usage: usage(1_000, 500) })));
    const { headers } = await bench.chat();
    expect(headers['x-credits-charged']).toBe('0.002');
    expect(Number(headers['x-credits-remaining'])).toBeCloseTo(100, 0);
    expect(headers['x-credits-remaining']).toMatch(/^\d+(\.\d+)?$/);
  });

  it('C-083 has every choice that was asked for', async () => {
    const choices = [1, 0].map((index) => ({
      index,
      message: { role: 'assistant', content: `choice ${index}` },
      finish_reason: 'stop',
    }));
    const json = await answered(chatAnswer({ choices }), { n: 2 });
    expect(json.choices.map(({ index }: any) => index)).toEqual([1, 0]);
  });
});
