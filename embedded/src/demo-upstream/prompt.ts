import { isJsonObject, type ChatRequest } from '@tollgate/openai';
import { encodeText } from './tokens.js';

/**
 * Tokens that the chat format adds, by OpenAI's cookbook "How to count tokens with tiktoken": each message is wrapped
 * in 3, a name takes 1 more, and the answer is primed with 3.
 */
const TOKENS_PER_MESSAGE = 3;
const TOKENS_PER_NAME = 1;
const TOKENS_OF_PRIMING = 3;

/** Counts the input tokens of a request. */
export function countPromptTokens(request: ChatRequest): number {
  let tokens = TOKENS_OF_PRIMING;
  for (const message of request.messages) {
    tokens += TOKENS_PER_MESSAGE + encodeText(String(message.role)).length;
    tokens += encodeText(contentText(message.content)).length;
    if (typeof message.name === 'string') tokens += TOKENS_PER_NAME + encodeText(message.name).length;
  }
  return tokens;
}

/** What the user said last; empty if nothing. */
export function lastUserText(request: ChatRequest): string {
  const last = request.messages.findLast((message) => message.role === 'user') ?? request.messages.at(-1);
  return contentText(last?.content).trim();
}

function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  const texts = content.map((part: unknown) =>
    isJsonObject(part) && typeof part.text === 'string' ? part.text : null,
  );
  return texts.filter((text) => text !== null).join('\n');
}
