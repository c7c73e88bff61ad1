import { isJsonObject, type JsonObject } from '@tollgate/openai';
import { holdToRules } from './conversation.js';
import type { DialectProfile, Operation } from './dialect-profile.js';

/** A body as OpenAI's clients would have sent it. */
export interface PreparedBody {
  readonly body: JsonObject;
  /** Headers that tell the client what was done to its request. */
  readonly headers: { readonly [name: string]: string };
}

const NO_HEADERS = {};

/** How clients copied a role out of two documents. */
const MISSPELLED_ASSISTANT = 'assitant';

/**
 * Brings a body to OpenAI's form: the default model, slips mended, the conversation held to its dialect's rules. OpenAI's
 * own bodies stay as they are.
 * @throws RequestProblem for a conversation that breaks its dialect's rules.
 */
export function prepareBody(sent: JsonObject, operation: Operation, profile: DialectProfile): PreparedBody {
  const { defaultModels, isTolerant, conversationCharactersMax } = profile;
  let body = sent;
  if (defaultModels !== null && isAbsent(sent.model)) body = { ...body, model: defaultModels[operation] };
  if (operation !== 'chat') return { body, headers: NO_HEADERS };
  if (isTolerant) body = { ...body, messages: mendRoles(body.messages) };
  if (conversationCharactersMax === null) return { body, headers: NO_HEADERS };
  const { messages, dropped } = holdToRules(body.messages, conversationCharactersMax);
  return {
    body: { ...body, messages },
    headers: dropped === 0 ? NO_HEADERS : { 'x-history-dropped': String(dropped) },
  };
}

function isAbsent(model: unknown): boolean {
  return model === undefined || model === null || model === '';
}

function mendRoles(messages: unknown): unknown {
  if (!Array.isArray(messages)) return messages;
  return messages.map((message: unknown) =>
    isJsonObject(message) && message.role === MISSPELLED_ASSISTANT
      ? { ...message, role: 'assistant' }
      : message,
  );
}
