/**
 * The answers that the five documents print, with the vectors of embeddings cut to what is printed of them. An answer of
 * ours is as documented if it has every member that is printed, of the same type; it may have more.
 */

/** Documents 000 (line 61) and 001 (line 69). */
export const CHAT_OPENAI = {
  id: 'chatcmpl-abc123',
  object: 'chat.completion',
  created: 1_677_858_242,
  model: 'gpt-3.5-turbo-0301',
  usage: { prompt_tokens: 13, completion_tokens: 7, total_tokens: 20 },
  choices: [
    { message: { role: 'assistant', content: '\n\nThis is a test!' }, finish_reason: 'stop', index: 0 },
  ],
};

/** Document 002, lines 87 and 153. */
export const CHAT_AZURE = {
  id: 'chatcmpl-7SKQgp3ry5w9ZB0A3mMcvYOFB1VYG',
  object: 'chat.completion',
  created: 1_686_986_070,
  model: 'gpt-35-turbo',
  choices: [
    {
      index: 0,
      finish_reason: 'stop',
      message: {
        role: 'assistant',
        content: 'Hello, this message is from apigpt.cloud! How may I assist you today?',
      },
    },
  ],
  usage: { completion_tokens: 18, prompt_tokens: 18, total_tokens: 36 },
};

/** Document 002, line 254. */
export const COMPLETION_AZURE = {
  id: 'cmpl-7TkgRTfjrz80goegsOC2nrkzi1WPm',
  object: 'text_completion',
  created: 1_687_325_319,
  model: 'gpt-35-turbo',
  choices: [{ text: ' 20 year old female and I', index: 0, finish_reason: 'length', logprobs: null }],
  usage: { completion_tokens: 7, prompt_tokens: 3, total_tokens: 10 },
};

/** Documents 001 (line 144) and 002 (line 342). */
export const EMBEDDING = {
  object: 'list',
  data: [{ object: 'embedding', embedding: [0.0023064255, -0.009327292, -0.0028842222], index: 0 }],
  model: 'text-embedding-ada-002',
  usage: { prompt_tokens: 8, total_tokens: 8 },
};

/** Document 003, lines 9 and 184: neither `object` nor `model`, and none of the codes of its table. */
export const CHAT_WITHOUT_CODES = {
  id: 'as-bcmt5ct4iy',
  created: 1_680_167_072,
  choices: [{ message: { role: 'assistant', content: '1+100=101' }, finish_reason: 'stop', index: 0 }],
  usage: { prompt_tokens: 470, completion_tokens: 198, total_tokens: 668 },
};

/** Document 004, line 134. */
export const CHAT_WITH_CODES = { code: 0, msg: '', ...CHAT_WITHOUT_CODES };

/** Documents 000 (line 108) and 001 (line 116) print no answer, but call it OpenAI's. */
export const MODELS = {
  object: 'list',
  data: [{ id: 'gpt-3.5-turbo', object: 'model', created: 1_677_610_602, owned_by: 'openai' }],
};

/** Members whose values every answer has to have as they are printed, not only of their type. */
const FIXED: ReadonlySet<string> = new Set([
  'object',
  'role',
  'index',
  'code',
  'msg',
  'finish_reason',
  'logprobs',
]);

/** Where an answer is not as documented, by the path of the member; empty if it is. */
export function differences(documented: unknown, answer: unknown, path = 'answer'): string[] {
  if (Array.isArray(documented)) {
    if (!Array.isArray(answer) || answer.length === 0) return [`${path} is no filled array`];
    return answer.flatMap((item, at) => differences(documented[0], item, `${path}[${String(at)}]`));
  }
  if (typeof documented === 'object' && documented !== null) {
    if (typeof answer !== 'object' || answer === null) return [`${path} is no object`];
    const members = new Map<string, unknown>(Object.entries(answer));
    return Object.entries(documented).flatMap(([name, value]) =>
      FIXED.has(name) && members.get(name) !== value
        ? [`${path}.${name} is ${String(members.get(name))}, not ${String(value)}`]
        : differences(value, members.get(name), `${path}.${name}`),
    );
  }
  return typeof answer === typeof documented
    ? []
    : [`${path} is a ${typeof answer}, not a ${typeof documented}`];
}
