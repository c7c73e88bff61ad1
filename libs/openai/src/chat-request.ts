import {
  readArray,
  readBoolean,
  readIncludeUsage,
  readInteger,
  readModel,
  readNumber,
  smallest,
} from './body-members.js';
import { isJsonObject, type JsonObject } from './json.js';
import { RequestProblem, invalidType, missingParameter } from './request-problem.js';

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

/** Choices that a request may ask for. */
export const CHOICES_MAX = 128;

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
