import * as fc from 'fast-check';

/** Bodies of the three APIs, as they ought to be and as they ought not. */
export function bodies(models: readonly string[]): fc.Arbitrary<Buffer> {
  const whole = fc.oneof(
    { weight: 6, arbitrary: chatBodies(models) },
    { weight: 2, arbitrary: textBodies(models) },
  );
  const mutated = fc
    .tuple(whole, fc.array(mutations(), { minLength: 1, maxLength: 2 }))
    .map(([body, list]) => {
      // What is generated may be used again: a mutation must not reach the original.
      const changed = structuredClone(body);
      for (const mutate of list) mutate(changed);
      return changed;
    });
  const json = fc
    .oneof({ weight: 7, arbitrary: whole }, { weight: 5, arbitrary: mutated })
    .map((body) => Buffer.from(JSON.stringify(body)));
  return fc.oneof(
    { weight: 14, arbitrary: json },
    { weight: 2, arbitrary: broken(json) },
    { weight: 1, arbitrary: fc.constantFrom(...ODDITIES).map((text) => Buffer.from(text)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
  );
}

type Body = Record<string, unknown>;

const ODDITIES = [
  '',
  'null',
  '[]',
  '""',
  '1e999',
  '{"model":1e999}',
  '{"__proto__":{"model":"x"},"constructor":{"prototype":1}}',
  '{"model":"fuzz-chat","model":"other","messages":[{"role":"user","content":"hi"}]}',
  '\ufeff{"model":"fuzz-chat","messages":[{"role":"user","content":"hi"}]}',
  `${'['.repeat(20_000)}`,
  `{"model":"fuzz-chat","messages":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
  `{"model":"fuzz-chat","messages":[{"role":"user","content":${'[{"text":'.repeat(500)}1${'}]'.repeat(500)}}]}`,
  `{"model":"fuzz-chat","messages":[{"role":"user","content":"hi","a":${'['.repeat(50_000)}${']'.repeat(50_000)}}]}`,
  'model=fuzz-chat&messages=[{"role":"user","content":"hi"}]',
  '--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nfuzz-chat\r\n--x--\r\n',
];

function text(): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.string({ maxLength: 40 }) },
    { weight: 2, arbitrary: fc.string({ unit: 'grapheme', maxLength: 40 }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('', '\u0000', '\ud800', '你好', 'x'.repeat(30_000), '[marker:x]'),
    },
  );
}

function chatBodies(models: readonly string[]): fc.Arbitrary<Body> {
  const parts = fc.array(
    fc.oneof(
      text().map((said) => ({ type: 'text', text: said })),
      fc.constant({ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }),
      fc.constant({ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }),
    ),
    { maxLength: 3 },
  );
  const message = fc.record({
    role: fc.constantFrom('user', 'user', 'assistant', 'system', 'developer', 'tool'),
    content: fc.oneof(
      { weight: 5, arbitrary: text() },
      { weight: 1, arbitrary: parts },
      { weight: 1, arbitrary: fc.constant(null) },
    ),
  });
  return fc.record<Body>(
    {
      model: fc.constantFrom(...models),
      messages: fc.array(message, { minLength: 1, maxLength: 4 }),
      stream: fc.boolean(),
      stream_options: fc.constantFrom({ include_usage: true }, { include_usage: false }, {}, null),
      temperature: fc.double({ min: 0, max: 2, noNaN: true }),
      n: fc.constantFrom(1, 1, 2, 3),
      max_tokens: fc.integer({ min: 1, max: 5_000 }),
      stop: fc.constantFrom('x', ['a', 'b'], null),
      tools: fc.constantFrom([], [{ type: 'function', function: { name: 'f' } }]),
      user: text(),
    },
    { requiredKeys: ['model', 'messages'] },
  );
}

function textBodies(models: readonly string[]): fc.Arbitrary<Body> {
  const tokens = fc.array(fc.nat({ max: 100_000 }), { minLength: 1, maxLength: 8 });
  const inputs = fc.oneof(
    text(),
    fc.array(text(), { maxLength: 4 }),
    tokens,
    fc.array(tokens, { maxLength: 3 }),
  );
  return fc.record<Body>(
    {
      model: fc.constantFrom(...models),
      input: inputs,
      prompt: inputs,
      stream: fc.boolean(),
      encoding_format: fc.constantFrom('float', 'base64', 'hex'),
      dimensions: fc.integer({ min: -1, max: 2_000 }),
      max_tokens: fc.integer({ min: -1, max: 100 }),
      n: fc.constantFrom(1, 2),
      best_of: fc.constantFrom(0, 1, 2, 3),
      echo: fc.boolean(),
      logprobs: fc.constantFrom(0, 1, 5, 6),
    },
    { requiredKeys: ['model', 'input', 'prompt'] },
  );
}

const MEMBERS = [
  'model',
  'messages',
  'stream',
  'stream_options',
  'temperature',
  'top_p',
  'n',
  'max_tokens',
  'max_completion_tokens',
  'stop',
  'tools',
  'tool_choice',
  'response_format',
  'logit_bias',
  'input',
  'prompt',
  'encoding_format',
  'dimensions',
  'best_of',
  'echo',
  'logprobs',
  'suffix',
  'user',
  'api_secret_key',
  'engine',
  'timeout',
  '__proto__',
  'toString',
  'extra',
];

/** Puts something else in the place of a member, adds one or takes one away. */
function mutations(): fc.Arbitrary<(body: Body) => void> {
  const anything = fc.oneof(
    fc.constantFrom<unknown>(
      null,
      '',
      'true',
      0,
      -1,
      1.5,
      1e21,
      -0,
      true,
      [],
      {},
      [null],
      [[]],
      2 ** 53,
      'x'.repeat(300),
    ),
    fc.jsonValue({ maxDepth: 3 }),
  );
  return fc
    .tuple(fc.constantFrom(...MEMBERS), anything, fc.nat({ max: 3 }))
    .map(([name, original, kind]) => (body) => {
      const value = structuredClone(original);
      const { messages } = body;
      if (kind === 0) delete body[name];
      else if (kind === 1 && Array.isArray(messages)) messages.push(value);
      else if (kind === 2 && Array.isArray(messages) && messages.length > 0) {
        messages[0] = { role: 'user', [name]: value, content: value };
      } else {
        Object.defineProperty(body, name, { value, enumerable: true, configurable: true, writable: true });
      }
    });
}

/** JSON that is cut, or has bytes in it that do not belong there. */
function broken(json: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  return fc
    .tuple(json, fc.double({ min: 0, max: 1, noNaN: true }), fc.uint8Array({ maxLength: 3 }), fc.boolean())
    .map(([body, place, bytes, isCut]) => {
      const at = Math.floor(body.length * place);
      return Buffer.concat([body.subarray(0, at), bytes, isCut ? Buffer.alloc(0) : body.subarray(at)]);
    });
}
