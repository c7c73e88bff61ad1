import { ConformanceBench, MODEL, chatBody, type Answer, type Ask } from './conformance-bench.js';
import { AnswerReader, open, requestBytes } from './raw-http.js';
import {
  CANARY,
  DONE,
  TELLTALE,
  breaks,
  chunk,
  frame,
  says,
  streams,
  usage,
  type Script,
} from './scripted-upstream.js';
import { HELLO, OPENING, USAGE, WHOLE, eventsOf, said } from './streamed-answers.js';

/** Output of this one costs so much that a small balance ends in the middle of an answer. */
const DEAR = 'dear-chat';
const WITH_USAGE = { stream: true, stream_options: { include_usage: true } };

let bench: ConformanceBench;

beforeAll(async () => {
  bench = await ConformanceBench.start();
  await bench.sell(DEAR, { rates: { input: '0', output: '1000' } });
  await bench.untilSold(DEAR);
});

afterEach(() => bench.audit());
afterAll(() => bench?.close());

interface Stream extends Answer {
  /** The parsed data of every event but the sentinel. */
  readonly events: any[];
}

/** What the client gets where the upstream streams this. */
async function streamed(
  script: Script,
  members: Record<string, unknown> = {},
  ask: Ask = {},
): Promise<Stream> {
  bench.upstream.answer(script);
  const answer = await bench.chat({ stream: true, ...members }, ask);
  expect([answer.status, answer.json?.error]).toEqual([200, undefined]);
  return { ...answer, events: eventsOf(answer.text) };
}

describe('streaming', () => {
  it('C-090 has the head of a stream, and is never compressed', async () => {
    const { headers } = await streamed(streams(...WHOLE), {}, { headers: [['Accept-Encoding', 'gzip, br']] });
    expect(headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    });
    expect(headers).not.toHaveProperty('content-length');
    expect(headers).not.toHaveProperty('content-encoding');
    const kept = await streamed(streams(...WHOLE), {}, { headers: [['Connection', 'keep-alive']] });
    // A header for one hop: a proxy has the client's connection, and keeps it by HTTP/1.1's rule.
    if (!bench.installation.isProxied) expect(kept.headers.connection).toBe('keep-alive');
  });

  it.each([
    ['CRLF', WHOLE.map((text) => text.replaceAll('\n', '\r\n'))],
    ['no blank after data', WHOLE.map((text) => text.replace('data: ', 'data:'))],
    ['comments', WHOLE.map((text) => `: ${CANARY} PROCESSING\n\n${text}`)],
    ['events, ids and retries', WHOLE.map((text) => `event: message\nid: ${CANARY}\nretry: 5\n${text}`)],
    ['empty data', WHOLE.map((text) => `data:\n\ndata: \n\n${text}`)],
    ['lone ids', WHOLE.map((text) => `id: 1\n\n${text}`)],
    ['a byte order mark', ['\ufeff', ...WHOLE]],
    ['blanks in the JSON', WHOLE.map((text) => text.replaceAll('":', '" :  '))],
  ])(
    'C-091 writes nothing but data lines of JSON, whatever the upstream writes: %s',
    async (_name, writes) => {
      const { text, events } = await streamed(streams(...writes));
      expect(text).toMatch(/^(data: \{[^\r\n]*\}\n\n)+data: \[DONE\]\n\n$/);
      expect(said(events)).toBe('Hello');
    },
  );

  it('C-092 writes only whole events, so that no letter is ever split', async () => {
    const bytes = Buffer.from([OPENING, chunk({ content: '你好世界' }), chunk({}, 'stop'), DONE].join(''));
    const pieces: (Buffer | number)[] = [];
    for (let at = 0; at < bytes.length; at += 37) pieces.push(bytes.subarray(at, at + 37), 1);
    const { chunks, events } = await streamed(streams(...pieces));
    expect(said(events)).toBe('你好世界');
    for (const written of chunks) expect(written.toString('utf8')).toMatch(/^data: [^]*\n\n$/);
  });

  it('C-093 gives the role on the first chunk of a choice and never again', async () => {
    for (const writes of [
      WHOLE,
      WHOLE.slice(1),
      [...HELLO, chunk({ role: 'assistant', content: '!' }), chunk({ role: 'assistant' }, 'stop'), DONE],
    ]) {
      const { events } = await streamed(streams(...writes));
      expect(events[0].choices[0].delta.role).toBe('assistant');
      for (const { choices } of events.slice(1)) expect(choices[0].delta).not.toHaveProperty('role');
    }
  });

  it('C-094 has a null finish reason until the last chunk, then one, once', async () => {
    const eager = [
      ...HELLO,
      chunk({ content: '!' }, 'stop'),
      chunk({}, 'stop'),
      chunk({ content: 'x' }),
      DONE,
    ];
    for (const writes of [WHOLE, eager]) {
      const { events } = await streamed(streams(...writes));
      const reasons = events.map(({ choices }) => choices[0].finish_reason);
      expect(reasons.slice(0, -1).every((reason) => reason === null)).toBe(true);
      expect(reasons.at(-1)).toBe('stop');
    }
  });

  it.each([
    ['sensitive', 'content_filter'],
    ['model_context_window_exceeded', 'length'],
    ['tool_calls', 'tool_calls'],
  ])('C-094 writes the finish reason %s as %s', async (given, expected) => {
    const { events } = await streamed(streams(...HELLO, chunk({}, given), DONE));
    expect(events.at(-1).choices[0].finish_reason).toBe(expected);
  });

  it('C-095 adds the finish reason stop where the upstream said only [DONE]', async () => {
    const { events } = await streamed(streams(...HELLO, DONE));
    expect(events.at(-1).choices[0]).toMatchObject({ delta: {}, finish_reason: 'stop' });
  });

  it('C-096 takes a stream without finish reason and [DONE] for a failure', async () => {
    const { events, text } = await streamed(streams(...HELLO));
    expect(events.at(-1).error).toMatchObject({ code: 'upstream_error' });
    expect(text.endsWith(DONE)).toBe(true);
  });

  it('C-097 gives tool calls a numeric index, their names once, and then arguments only', async () => {
    const call = (value: Record<string, unknown>) => chunk({ tool_calls: [value] });
    const { events } = await streamed(
      streams(
        OPENING,
        call({ id: 'call_1', function: { name: 'f', arguments: '' } }),
        call({ index: 0, id: 'call_1', type: 'function', function: { name: 'f', arguments: '{"a"' } }),
        call({ index: 0, function: { arguments: ':1}' } }),
        call({ index: 1, id: 'call_2', function: { name: 'g', arguments: { b: 2 } } }),
        chunk({}, 'tool_calls'),
        DONE,
      ),
    );
    const calls = events.flatMap(({ choices }) => choices[0].delta.tool_calls ?? []);
    expect(calls).toEqual([
      { index: 0, id: 'call_1', type: 'function', function: { name: 'f', arguments: '' } },
      { index: 0, function: { arguments: '{"a"' } },
      { index: 0, function: { arguments: ':1}' } },
      { index: 1, id: 'call_2', type: 'function', function: { name: 'g', arguments: '{"b":2}' } },
    ]);
  });

  it('C-098 has one id, one time and the model that was asked for in all chunks', async () => {
    const changing = WHOLE.map((text, index) => text.replace('"created":17', `"created":${index + 1}7`));
    const { events } = await streamed(streams(...changing), WITH_USAGE);
    const heads = events.map(({ id, object, created, model }) =>
      JSON.stringify({ id, object, created, model }),
    );
    expect(new Set(heads).size).toBe(1);
    expect(events[0]).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-/),
      object: 'chat.completion.chunk',
      model: MODEL,
    });
  });

  it('C-099 always ends with [DONE], also where the upstream does not', async () => {
    const { text, events } = await streamed(streams(...HELLO, chunk({}, 'stop')));
    expect(said(events)).toBe('Hello');
    expect(text.endsWith(`\n\n${DONE}`)).toBe(true);
  });

  const inLast = chunk({}, 'stop', { usage: usage(13, 2) });
  const inChoice = chunk({}, 'stop').replace(
    '"index":0',
    `"index":0,"usage":${JSON.stringify(usage(13, 2))}`,
  );
  const cumulative = HELLO.map((text, index) =>
    text.replace('"choices"', `"usage":${JSON.stringify(usage(13, index))},"choices"`),
  );
  const places: [string, string[]][] = [
    ['in a chunk of its own', [...HELLO, chunk({}, 'stop'), USAGE, DONE]],
    ['on the last chunk', [...HELLO, inLast, DONE]],
    ['in the last choice', [...HELLO, inChoice, DONE]],
    ['on every chunk', [...cumulative, inLast, DONE]],
    ['in x_groq', [...HELLO, chunk({}, 'stop', { x_groq: { usage: usage(13, 2) } }), DONE]],
  ];

  it.each(places)(
    'C-100 gives the usage in a last chunk without choices to who asked: %s',
    async (_at, writes) => {
      const { events, requestId } = await streamed(streams(...writes), WITH_USAGE);
      expect(events.at(-1)).toMatchObject({
        choices: [],
        usage: { prompt_tokens: 13, completion_tokens: 2, total_tokens: 15 },
      });
      for (const event of events.slice(0, -1)) {
        expect(event.usage).toBeNull();
        expect(event.choices).toHaveLength(1);
      }
      expect(await bench.usageOf(requestId)).toMatchObject({ cost: '17000', usage_source: 'provider' });
    },
  );

  it.each(places)(
    'C-101 keeps the usage from who did not ask, and charges by it: %s',
    async (_at, writes) => {
      const { text, events, requestId } = await streamed(streams(...writes));
      expect(text).not.toContain('usage');
      for (const { choices } of events) expect(choices).toHaveLength(1);
      expect(await bench.usageOf(requestId)).toMatchObject({ cost: '17000' });
    },
  );

  it('C-102 takes the last of cumulative usages, and not their sum', async () => {
    const { requestId } = await streamed(streams(...cumulative, inLast, USAGE, DONE));
    expect(await bench.usageOf(requestId)).toMatchObject({ units: { input: 13, output: 2 } });
  });

  it('C-103 estimates where no usage comes, and says so', async () => {
    const { events, requestId } = await streamed(streams(...HELLO, chunk({}, 'stop'), DONE), WITH_USAGE);
    // Two bytes of text are one token, and a message costs three; five bytes of answer are two.
    expect(events.at(-1).usage).toMatchObject({ prompt_tokens: 4, completion_tokens: 2, total_tokens: 6 });
    expect(await bench.usageOf(requestId)).toMatchObject({ usage_source: 'estimated' });
  });

  it("C-104 drops chunks without choices and usage, and the filter's chunks of Azure", async () => {
    const filter = frame({
      id: '',
      object: '',
      created: 0,
      model: '',
      choices: [],
      prompt_filter_results: [],
    });
    const late = frame({ choices: [{ index: 0, content_filter_results: {}, content_filter_offsets: {} }] });
    const { text, events } = await streamed(streams(filter, ...HELLO, late, chunk({}, 'stop'), DONE));
    expect(text).not.toContain('filter');
    expect(events[0].choices[0].delta.role).toBe('assistant');
    expect(events).toHaveLength(4);
  });

  it('C-105 writes no error key, though the upstream sends null', async () => {
    const { text } = await streamed(
      streams(...WHOLE.map((it) => it.replace('"choices"', '"error":null,"choices"'))),
    );
    expect(text).not.toContain('error');
  });

  it('C-106 removes empty roles, null contents, empty tool calls and empty finish reasons', async () => {
    const odd = [
      OPENING,
      chunk({ role: '', content: 'Hel' }, ''),
      chunk({ role: null, content: 'lo', tool_calls: [] }, ''),
      chunk({ content: null, tool_calls: null }),
      chunk({ content: null }, 'stop'),
      DONE,
    ];
    const { events } = await streamed(streams(...odd));
    expect(said(events)).toBe('Hello');
    for (const { choices } of events.slice(1)) {
      expect(choices[0].delta).not.toHaveProperty('role');
      expect(choices[0].delta.content).not.toBeNull();
      expect(choices[0].delta).not.toHaveProperty('tool_calls');
      expect(choices[0].finish_reason).not.toBe('');
    }
  });

  it('C-107 gives reasoning as reasoning_content, and drops what OpenAI does not send', async () => {
    const { events, text } = await streamed(
      streams(
        OPENING,
        chunk({ reasoning: 'hm', vendor: 1 }, null, { provider: 'x' }),
        chunk({}, 'stop'),
        DONE,
      ),
    );
    expect(events[1].choices[0].delta.reasoning_content).toBe('hm');
    expect(text).not.toMatch(/vendor|provider/);
  });

  it('C-108 streams every choice with its own role and finish reason', async () => {
    const other = (delta: unknown, reason: string | null = null) =>
      chunk(delta, reason).replace('"index":0', '"index":1');
    const { events } = await streamed(
      streams(...HELLO, other({ content: 'b' }), chunk({}, 'stop'), other({}, 'length'), DONE),
      { n: 2 },
    );
    const ofSecond = events.map(({ choices }) => choices[0]).filter(({ index }) => index === 1);
    expect(ofSecond[0].delta).toEqual({ role: 'assistant', content: 'b' });
    expect(ofSecond.at(-1).finish_reason).toBe('length');
  });

  it('C-109 forwards each event at once', async () => {
    let last: () => void = () => undefined;
    const wait = new Promise<void>((resolve) => (last = resolve));
    bench.upstream.answer(async (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(OPENING + chunk({ content: 'first' }));
      await wait;
      response.end(chunk({}, 'stop') + DONE);
    });
    const text = await watched({ json: chatBody({ stream: true }) }, (seen) => {
      if (seen.includes('first')) last();
    });
    expect(text).toContain('[DONE]');
  });
});

/** Reads an answer to its end, with a look at what is there after each read; answers its text. */
async function watched(ask: Ask, look: (text: string) => void): Promise<string> {
  const socket = open(bench.installation.gatewayUrl);
  const request = bench.write(ask);
  const reader = new AnswerReader(request.method ?? 'POST');
  socket.write(requestBytes(request));
  for await (const piece of socket) {
    reader.push(piece);
    look(reader.current?.body.toString('utf8') ?? '');
    if (reader.current?.complete === true) break;
  }
  if (reader.current === null) throw new Error('no answer');
  return bench.record(reader.current, request).text;
}

/** The error of a stream that failed; its frames and its ending are checked. */
function failureOf({ text, events, complete }: Stream): any {
  expect(complete).toBe(true);
  expect(text.endsWith(DONE)).toBe(true);
  const last = events.at(-1);
  expect(Object.keys(last)).toEqual(['error']);
  expect(last.error).toMatchObject({
    message: expect.any(String),
    type: expect.any(String),
    param: null,
    code: expect.any(String),
  });
  return last.error;
}

describe('mid-stream', () => {
  const failures: [string, Script][] = [
    ['a reset', streams(...HELLO, 50, 'reset')],
    ['an end without an end', streams(...HELLO)],
    ['an error frame', streams(...HELLO, frame({ error: { message: `${CANARY}: ${TELLTALE}` } }), DONE)],
    ['an error event', streams(...HELLO, `event: error\n${frame({ message: CANARY, code: 500 })}`)],
    ['broken JSON', streams(...HELLO, `data: {"choices": [{"${CANARY}\n\n`, DONE)],
    ['something that is no stream', streams(...HELLO, frame([CANARY]), DONE)],
    ['a finish reason that says so', streams(...HELLO, chunk({}, 'error'), DONE)],
  ];

  it.each(failures)(
    'C-120 ends with an error frame, [DONE] and a proper end after %s',
    async (_name, script) => {
      const stream = await streamed(script);
      expect(said(stream.events)).toBe('Hello');
      expect(failureOf(stream)).toMatchObject({ type: 'server_error', code: 'upstream_error' });
    },
  );

  it.each(failures)('C-121 charges what was delivered before %s, as partial', async (_name, script) => {
    const { requestId } = await streamed(script);
    expect(await bench.usageOf(requestId)).toMatchObject({
      outcome: 'upstream_failed',
      usage_source: 'partial',
      units: { input: 4, output: 2 },
    });
  });

  it('C-122 charges the reported usage where it came before the failure', async () => {
    const { requestId } = await streamed(streams(...cumulativeOf(40), 50, 'reset'));
    expect(await bench.usageOf(requestId)).toMatchObject({ usage_source: 'provider', units: { input: 40 } });
  });

  it('C-123 answers with a status where the stream fails before its first event', async () => {
    for (const script of [
      streams('reset'),
      streams(),
      streams(': nothing\n\n', 'reset'),
      streams(frame({ error: { message: CANARY } }), DONE),
      streams('data: {broken\n\n'),
      says({ error: { message: CANARY } }),
      says('<html></html>', { headers: { 'content-type': 'text/html' } }),
    ]) {
      bench.upstream.answer(script);
      const { status, json } = await bench.chat({ stream: true });
      expect(json.error).toMatchObject({ type: 'server_error', code: 'upstream_error' });
      expect(status).toBe(502);
    }
  });

  it('C-124 is free where the stream fails before anything was said', async () => {
    const { requestId, ...stream } = await streamed(streams(OPENING, 50, 'reset'));
    failureOf({ requestId, ...stream });
    expect(await bench.usageOf(requestId)).toMatchObject({ cost: '0', outcome: 'upstream_failed' });
  });

  it('C-125 says that the balance ended: length, usage if it was asked for, the error, [DONE]', async () => {
    const words = Array.from({ length: 4_000 }, () => chunk({ content: 'word' })).join('');
    // A thousand credits for a million tokens: two hold a slice of 2,000.
    for (const members of [WITH_USAGE, {}]) {
      const poor = await bench.openAccount('2.5');
      const stream = await streamed(
        streams(OPENING, words, chunk({}, 'stop'), DONE),
        { model: DEAR, ...members },
        { key: poor.apiKey },
      );
      expect(failureOf(stream)).toMatchObject({ type: 'insufficient_quota', code: 'insufficient_quota' });
      const [finish, counted] = stream.events.slice('stream_options' in members ? -3 : -2);
      expect(finish.choices[0]).toMatchObject({ delta: {}, finish_reason: 'length' });
      if ('stream_options' in members) {
        expect(counted).toMatchObject({ choices: [], usage: expect.anything() });
      }
      expect(await bench.usageOf(stream.requestId)).toMatchObject({ outcome: 'cut_off' });
      expect(Number((await bench.admin.balance(poor.accountId)).posted)).toBeGreaterThanOrEqual(0);
    }
  });

  it('C-126 cancels the upstream at once when the client leaves a stream, and charges what it got', async () => {
    bench.upstream.answer(streams(...HELLO, 20_000));
    const leaver = await bench.openAccount('1');
    await bench.leave({ key: leaver.apiKey, json: chatBody({ stream: true }) }, { sees: '"lo"' });
    await untilCancelled();
    expect((await bench.usageRows(leaver.accountId, 1))[0]).toMatchObject({
      outcome: 'client_closed',
      usageSource: 'partial',
      units: { input: 4, output: 2 },
    });
  });

  it('C-127 cancels the upstream when the client leaves before the head, and charges the input', async () => {
    bench.upstream.answer(streams(20_000));
    const leaver = await bench.openAccount('1');
    for (const stream of [true, false]) {
      const leaves = bench.leave({ key: leaver.apiKey, json: chatBody({ stream }) }, { afterMs: 300 });
      await leaves;
      await untilCancelled();
    }
    const rows = await bench.usageRows(leaver.accountId, 2);
    for (const row of rows) {
      expect(row).toMatchObject({ outcome: 'client_closed', usageSource: 'partial', units: { input: 4 } });
    }
  });

  it('C-128 hands an upstream refusal on with its status, though a stream was asked for', async () => {
    bench.upstream.answer(breaks(429));
    const { status, json } = await bench.chat({ stream: true });
    expect(json.error.code).toBe('rate_limit_exceeded');
    expect(status).toBe(429);
  });
});

describe('silence', () => {
  it('C-110 and C-111 sends the head after 15 s, then a comment of its own after 15 s without a word', async () => {
    bench.upstream.answer(streams(32_000, ...WHOLE));
    const startedAtMs = Date.now();
    const seen: [text: string, afterMs: number][] = [];
    let headAfterMs = 0;
    const text = await watched({ json: chatBody({ stream: true }) }, (soFar) => {
      if (headAfterMs === 0) headAfterMs = Date.now() - startedAtMs;
      seen.push([soFar, Date.now() - startedAtMs]);
    });
    expect(headAfterMs).toBeGreaterThan(14_000);
    expect(headAfterMs).toBeLessThan(20_000);
    const [, keptAliveAfterMs = 0] = seen.find(([soFar]) => soFar.includes('keepalive')) ?? [];
    expect(keptAliveAfterMs - headAfterMs).toBeGreaterThan(14_000);
    expect(text).toMatch(/^: keepalive\n\ndata: \{[^]*data: \[DONE\]\n\n$/);
  });
});

function cumulativeOf(prompt: number): string[] {
  return HELLO.map((text, index) =>
    text.replace('"choices"', `"usage":${JSON.stringify(usage(prompt, index))},"choices"`),
  );
}

async function untilCancelled(): Promise<void> {
  const startedAtMs = Date.now();
  while (!bench.upstream.lastCall.cancelled) {
    if (Date.now() - startedAtMs > 3_000) throw new Error('the upstream was not cancelled');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
