import { isJsonObject, type JsonObject } from '@tollgate/openai';
import { argumentsText, knownMembers, outputBytes } from './chat-message.js';
import { finishReason } from './finish-reason.js';
import { NoAnswerError, type AnswerIdentity, type PlainAnswer } from './upstream-form.js';

/**
 * Reads a plain chat answer and writes it anew in OpenAI's form: every member that OpenAI sends is there, vendors'
 * members are not.
 * @throws NoAnswerError for a body that is not JSON or has no choices; FailedFinishError.
 */
export function readChatAnswer(text: string, identity: AnswerIdentity): PlainAnswer {
  const upstream = parseAnswer(text);
  const choices = upstream.choices.map((choice: unknown, position) => readChoice(choice, position));
  const outputBytes = choices.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    body: {
      id: `chatcmpl-${identity.key}`,
      object: 'chat.completion',
      created: createdAt(upstream.body, identity),
      model: identity.model,
      choices: choices.map(({ choice }) => choice),
      service_tier: upstream.body.service_tier ?? 'default',
      system_fingerprint: upstream.body.system_fingerprint ?? null,
    },
    usage: upstream.body.usage,
    outputBytes,
    isEmpty: outputBytes === 0,
  };
}

/** The upstream's own time, in Unix seconds, if it gave one. */
export function createdAt(body: JsonObject, identity: AnswerIdentity): number {
  return typeof body.created === 'number' && body.created > 0 ? body.created : identity.created;
}

/** Parses a body that has choices. @throws NoAnswerError */
export function parseAnswer(text: string): { body: JsonObject; choices: unknown[] } {
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
