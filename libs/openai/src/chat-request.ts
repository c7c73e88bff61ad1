import { isJsonObject, jsonTypeName, type JsonObject } from './json.js';
import { RequestProblem, invalidType, invalidValue, missingParameter } from './request-problem.js';

/** What the gateway needs to know of a chat completion request; everything else goes through untouched. */
export interface ChatRequest {
  readonly model: string;
  readonly stream: boolean;
  /** The client asked for the usage chunk. */
  readonly includeUsage: boolean;
  /** Choices asked for. */
  readonly choices: number;
  /** The smaller of the output caps that the client sent, in tokens. */
  readonly outputTokensCap: number | null;
  readonly messages: readonly JsonObject[];
  /** The body as it was sent. */
  readonly body: JsonObject;
}

const CHOICES_MAX = 128;
const MODEL_LENGTH_MAX = 256;

/**
 * Reads a chat completion request, refusing only what OpenAI refuses too.
 * @throws RequestProblem naming the parameter.
 */
export function parseChatRequest(body: JsonObject): ChatRequest {
  const model = readModel(body);
  const messages = readMessages(body.messages);
  const stream = readBoolean(body, 'stream') ?? false;
  readNumber(body, { name: 'temperature', min: 0, max: 2 });
  readNumber(body, { name: 'top_p', min: 0, max: 1 });
  readNumber(body, { name: 'presence_penalty', min: -2, max: 2 });
  readNumber(body, { name: 'frequency_penalty', min: -2, max: 2 });
  readArray(body, 'tools');
  return {
    model,
    stream,
    includeUsage: readIncludeUsage(body, stream),
    choices: readInteger(body, { name: 'n', min: 1, max: CHOICES_MAX }) ?? 1,
    outputTokensCap: smallest([
      readInteger(body, { name: 'max_tokens', min: 1, max: Number.MAX_SAFE_INTEGER }),
      readInteger(body, { name: 'max_completion_tokens', min: 1, max: Number.MAX_SAFE_INTEGER }),
    ]),
    messages,
    body,
  };
}

function readModel(body: JsonObject): string {
  const { model } = body;
  if (model === undefined || model === null || model === '') {
    throw new RequestProblem({
      message: 'you must provide a model parameter',
      param: 'model',
      code: 'missing_required_parameter',
    });
  }
  if (typeof model !== 'string') throw invalidType('model', 'a string', model);
  if (model.length > MODEL_LENGTH_MAX) throw invalidValue('model', 'is too long to be the name of a model');
  return model;
}

function readMessages(messages: unknown): readonly JsonObject[] {
  if (messages === undefined || messages === null) throw missingParameter('messages');
  if (!Array.isArray(messages)) throw invalidType('messages', 'an array of objects', messages);
  if (messages.length === 0) {
    throw new RequestProblem({
      message:
        "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
      param: 'messages',
      code: 'empty_array',
    });
  }
  return messages.map((message: unknown, position) => {
    const at = `messages[${String(position)}]`;
    if (!isJsonObject(message)) throw invalidType(at, 'an object', message);
    if (message.role === undefined) throw missingParameter(`${at}.role`);
    if (typeof message.role !== 'string') throw invalidType(`${at}.role`, 'a string', message.role);
    return message;
  });
}

function readIncludeUsage(body: JsonObject, stream: boolean): boolean {
  const options = body.stream_options;
  if (options === undefined || options === null) return false;
  if (!isJsonObject(options)) throw invalidType('stream_options', 'an object', options);
  if (!stream) {
    throw invalidValue('stream_options', "is only allowed when 'stream' is enabled");
  }
  const wanted = options.include_usage;
  if (wanted === undefined || wanted === null || typeof wanted === 'boolean') return wanted === true;
  throw invalidType('stream_options.include_usage', 'a boolean', wanted);
}

function readBoolean(body: JsonObject, name: string): boolean | null {
  const value = body[name];
  if (value === undefined || value === null) return null;
  if (typeof value !== 'boolean') throw invalidType(name, 'a boolean', value);
  return value;
}

function readArray(body: JsonObject, name: string): void {
  const value = body[name];
  if (value === undefined || value === null || Array.isArray(value)) return;
  throw invalidType(name, 'an array', value);
}

interface NumberRule {
  readonly name: string;
  readonly min: number;
  readonly max: number;
}

function readNumber(body: JsonObject, rule: NumberRule): number | null {
  const value = body[rule.name];
  if (value === undefined || value === null) return null;
  if (typeof value !== 'number') throw invalidType(rule.name, 'a decimal', value);
  if (value < rule.min) throw outOfRange(rule, value, { word: 'below minimum', bound: rule.min, sign: '>=' });
  if (value > rule.max) throw outOfRange(rule, value, { word: 'above maximum', bound: rule.max, sign: '<=' });
  return value;
}

function readInteger(body: JsonObject, rule: NumberRule): number | null {
  const value = readNumber(body, rule);
  if (value === null || Number.isInteger(value)) return value;
  throw invalidType(rule.name, 'an integer', value);
}

function outOfRange(
  rule: NumberRule,
  value: number,
  bound: { word: string; bound: number; sign: string },
): RequestProblem {
  const kind = jsonTypeName(value).replace(/^an? /, '');
  return new RequestProblem({
    message:
      `Invalid '${rule.name}': ${kind} ${bound.word} value. ` +
      `Expected a value ${bound.sign} ${String(bound.bound)}, but got ${String(value)} instead.`,
    param: rule.name,
    code: `${kind}_${bound.word.replace(' minimum', '_min').replace(' maximum', '_max')}_value`,
  });
}

function smallest(values: readonly (number | null)[]): number | null {
  const given = values.filter((value) => value !== null);
  return given.length === 0 ? null : Math.min(...given);
}
