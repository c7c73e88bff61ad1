import { CHOICES_MAX } from './chat-request.js';
import { readBoolean, readIncludeUsage, readInteger, readModel, readNumber } from './body-members.js';
import type { JsonObject } from './json.js';
import { invalidType, invalidValue } from './request-problem.js';
import { readTexts } from './text-inputs.js';

/** What the gateway needs to know of a legacy completion request; everything else goes through untouched. */
export interface CompletionRequest {
  readonly model: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly prompts: readonly (string | readonly number[])[];
  /** Choices for all prompts together that are generated, `best_of` included. */
  readonly choices: number;
  /** Tokens for each choice; null where they end when the model ends them. */
  readonly outputTokensCap: number | null;
  /** What chat models cannot do and this request wants, by the name of the parameter; null if nothing. */
  readonly beyondChat: string | null;
  readonly body: JsonObject;
}

/** What OpenAI generates where `max_tokens` is not given. */
const OUTPUT_TOKENS_DEFAULT = 16;
const BEST_OF_MAX = 20;
const LOGPROBS_MAX = 5;
const END_OF_TEXT = '<|endoftext|>';

/**
 * Reads a legacy completion request.
 * @param outputTokensDefault tokens for each choice where the request has no `max_tokens`; null for no limit
 * @throws RequestProblem naming the parameter.
 */
export function parseCompletionRequest(
  body: JsonObject,
  outputTokensDefault: number | null = OUTPUT_TOKENS_DEFAULT,
): CompletionRequest {
  const model = readModel(body);
  const prompts = readTexts(body.prompt ?? END_OF_TEXT, 'prompt');
  const stream = readBoolean(body, 'stream') ?? false;
  readNumber(body, { name: 'temperature', min: 0, max: 2 });
  readNumber(body, { name: 'top_p', min: 0, max: 1 });
  readNumber(body, { name: 'presence_penalty', min: -2, max: 2 });
  readNumber(body, { name: 'frequency_penalty', min: -2, max: 2 });
  const n = readInteger(body, { name: 'n', min: 1, max: CHOICES_MAX }) ?? 1;
  const bestOf = readInteger(body, { name: 'best_of', min: 0, max: BEST_OF_MAX }) ?? n;
  if (bestOf < n) throw invalidValue('best_of', "must be greater than or equal to 'n'");
  return {
    model,
    stream,
    includeUsage: readIncludeUsage(body, stream),
    prompts,
    choices: prompts.length * Math.max(n, bestOf),
    outputTokensCap:
      readInteger(body, { name: 'max_tokens', min: 0, max: Number.MAX_SAFE_INTEGER }) ?? outputTokensDefault,
    beyondChat: beyondChat(body, { prompts, bestOf }),
    body,
  };
}

function beyondChat(
  body: JsonObject,
  parsed: { prompts: CompletionRequest['prompts']; bestOf: number },
): string | null {
  const echo = readBoolean(body, 'echo') ?? false;
  const logprobs = readInteger(body, { name: 'logprobs', min: 0, max: LOGPROBS_MAX });
  const { suffix } = body;
  if (suffix !== undefined && suffix !== null && typeof suffix !== 'string') {
    throw invalidType('suffix', 'a string', suffix);
  }
  if (parsed.prompts.some((prompt) => typeof prompt !== 'string')) return 'prompt';
  if (echo) return 'echo';
  if (parsed.bestOf > 1 && body.best_of !== undefined) return 'best_of';
  return logprobs === null ? null : 'logprobs';
}
