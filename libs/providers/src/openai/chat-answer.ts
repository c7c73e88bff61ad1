import { isJsonObject, type JsonObject } from '@tollgate/openai';
import { argumentsText, knownMembers, outputBytes } from './chat-message.js';
import { finishReason } from './finish-reason.js';

/** What every chunk or answer of one request says of itself. */
export interface AnswerIdentity {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  /** The model as the client asked for it. */
  readonly model: string;
}

/** A plain answer, read and put into OpenAI's form. */
export interface ChatAnswer {
  /** The body for the client, but for its usage. */
  readonly body: JsonObject;
  /** The upstream's usage object as it came. */
  readonly usage: unknown;
  readonly outputBytes: number;
}

/** An answer with a success status that is none. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
}

/**
 * Reads a plain chat answer and writes it anew in OpenAI's form: every member that OpenAI sends is there, vendors'
 * members are not.
 * @throws NoAnswerError for a body that is not JSON or has no choices; FailedFinishError.
 */
export function readChatAnswer(text: string, identity: AnswerIdentity): ChatAnswer {
  const upstream = parseAnswer(text);
  const choices = upstream.choices.map((choice: unknown, position) => readChoice(choice, position));
  return {
    body: {
      id: identity.id,
      object: 'chat.completion',
      created:
        typeof upstream.body.created === 'number' && upstream.body.created > 0
          ? upstream.body.created
          : identity.created,
      model: identity.model,
      choices: choices.map(({ choice }) => choice),
      service_tier: upstream.body.service_tier ?? 'default',
      system_fingerprint: upstream.body.system_fingerprint ?? null,
    },
    usage: upstream.body.usage,
    outputBytes: choices.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

function parseAnswer(text: string): { body: JsonObject; choices: unknown[] } {
  let body: unknown;
  try {
    // Vendors keep slow connections open with blank lines before the body.
    body = JSON.parse(text.trim());
  } catch (cause) {
    throw new NoAnswerError('the upstream answered something that is not JSON', { cause });
  }
  if (!isJsonObject(body) || !Array.isArray(body.choices) || body.choices.length === 0) {
    throw new NoAnswerError('the upstream answered without choices');
  }
  return { body, choices: body.choices };
}

function readChoice(value: unknown, position: number): { choice: JsonObject; bytes: number } {
  if (!isJsonObject(value)) throw new NoAnswerError('the upstream answered a choice that is no object');
  const source = isJsonObject(value.message) ? value.message : {};
  const message: JsonObject = {
    role: 'assistant',
    content: null,
    refusal: null,
    annotations: [],
    ...knownMembers(source),
  };
  if (Array.isArray(source.tool_calls) && source.tool_calls.length > 0) {
    message.tool_calls = source.tool_calls.map((call: unknown) => readToolCall(call));
  }
  const choice = {
    index: typeof value.index === 'number' ? value.index : position,
    message,
    logprobs: value.logprobs ?? null,
    finish_reason: finishReason(value.finish_reason) ?? 'stop',
  };
  return { choice, bytes: outputBytes(source) };
}

function readToolCall(call: unknown): unknown {
  if (!isJsonObject(call) || !isJsonObject(call.function)) return call;
  return {
    id: call.id,
    type: 'function',
    function: { name: call.function.name, arguments: argumentsText(call.function.arguments) },
  };
}
