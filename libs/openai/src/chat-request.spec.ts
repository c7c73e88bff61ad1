import { parseChatRequest } from './chat-request.js';
import { RequestProblem } from './request-problem.js';

const valid = { model: 'm', messages: [{ role: 'user', content: 'hi' }] };

function problemOf(body: Record<string, unknown>): RequestProblem {
  try {
    parseChatRequest(body);
  } catch (error) {
    if (error instanceof RequestProblem) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('parseChatRequest', () => {
  it('reads what the gateway needs and keeps the body as it was sent', () => {
    const body = {
      ...valid,
      stream: true,
      stream_options: { include_usage: true },
      n: 2,
      max_tokens: 10,
      x_vendor: 1,
    };
    expect(parseChatRequest(body)).toEqual({
      model: 'm',
      stream: true,
      includeUsage: true,
      choices: 2,
      outputTokensCap: 10,
      messages: valid.messages,
      body,
    });
  });

  it('takes the smaller of both caps', () => {
    expect(parseChatRequest({ ...valid, max_tokens: 9, max_completion_tokens: 7 }).outputTokensCap).toBe(7);
    expect(parseChatRequest(valid).outputTokensCap).toBeNull();
  });

  it('takes null for absent, as SDKs send it', () => {
    const body = { ...valid, temperature: null, stream: null, n: null, tools: null, stream_options: null };
    expect(parseChatRequest(body).choices).toBe(1);
  });

  it('takes no notice of the options of a stream where nothing is streamed', () => {
    const request = parseChatRequest({ ...valid, stream_options: { include_usage: true } });
    expect(request.includeUsage).toBe(false);
  });

  it.each([
    [
      { messages: valid.messages },
      'model',
      'missing_required_parameter',
      'you must provide a model parameter',
    ],
    [{ model: 'm' }, 'messages', 'missing_required_parameter', "Missing required parameter: 'messages'."],
    [
      { ...valid, model: 5 },
      'model',
      'invalid_type',
      "Invalid type for 'model': expected a string, but got an integer instead.",
    ],
    [
      { ...valid, messages: 'hi' },
      'messages',
      'invalid_type',
      /expected an array of objects, but got a string instead/,
    ],
    [{ ...valid, messages: [] }, 'messages', 'empty_array', /empty array/],
    [{ ...valid, messages: ['hi'] }, 'messages[0]', 'invalid_type', /expected an object/],
    [
      { ...valid, messages: [{ content: 'hi' }] },
      'messages[0].role',
      'missing_required_parameter',
      /messages\[0\]\.role/,
    ],
    [{ ...valid, stream: 'true' }, 'stream', 'invalid_type', /expected a boolean/],
    [
      { ...valid, temperature: 3 },
      'temperature',
      'decimal_above_max_value',
      /Expected a value <= 2, but got 3 instead/,
    ],
    [{ ...valid, temperature: -0.5 }, 'temperature', 'decimal_below_min_value', /Expected a value >= 0/],
    [{ ...valid, n: 1.5 }, 'n', 'invalid_type', /expected an integer, but got a decimal/],
    [{ ...valid, n: 129 }, 'n', 'integer_above_max_value', /<= 128/],
    [{ ...valid, max_tokens: 0 }, 'max_tokens', 'integer_below_min_value', />= 1/],
    [
      { ...valid, stream: true, stream_options: 'yes' },
      'stream_options',
      'invalid_type',
      /expected an object/,
    ],
    [{ ...valid, tools: {} }, 'tools', 'invalid_type', /expected an array/],
  ])('refuses %j and names the parameter', (body, param, code, message) => {
    const problem = problemOf(body);
    expect(problem.param).toBe(param);
    expect(problem.code).toBe(code);
    expect(problem.message).toEqual(typeof message === 'string' ? message : expect.stringMatching(message));
  });
});
