import type { CompletionRequest, JsonObject } from '@tollgate/openai';
import { readCompletionAnswer } from './completion-answer.js';
import { CompletionStreamReader } from './completion-stream.js';
import { usageObject } from './reported-usage.js';
import type { UpstreamForm } from './upstream-form.js';
import { capChatOutput, forwardedBody } from './upstream-request.js';

/** Asks an upstream's completions API for what the client asked of ours. */
export function completionForm(request: CompletionRequest): UpstreamForm {
  return {
    api: 'completions',
    ...(request.beyondChat !== null && { onlyFor: request.beyondChat }),
    path: '/completions',
    body: ({ upstreamModel, affordableOutputTokens }) => ({
      ...forwardedBody(request.body, upstreamModel, request),
      ...(affordableOutputTokens !== null && { max_tokens: affordableOutputTokens }),
    }),
    readAnswer: readCompletionAnswer,
    readStream: (identity) => new CompletionStreamReader(identity, request.includeUsage),
    writeUsage: usageObject,
  };
}

/** Members of a completion body that chat takes with the same meaning. */
const SHARED = [
  'temperature',
  'top_p',
  'n',
  'stop',
  'presence_penalty',
  'frequency_penalty',
  'logit_bias',
  'seed',
  'user',
] as const;

/**
 * Asks an upstream's chat API instead, where it has only that: one user message for each prompt. Null where the request
 * wants what chat cannot do.
 */
export function completionByChatForm(request: CompletionRequest): UpstreamForm | null {
  if (request.beyondChat !== null) return null;
  return {
    ...completionForm(request),
    api: 'chat',
    path: '/chat/completions',
    body: ({ upstreamModel, affordableOutputTokens }) => {
      const body: JsonObject = {
        model: upstreamModel,
        messages: request.prompts.map((prompt) => ({ role: 'user', content: prompt })),
        stream: request.stream,
      };
      if (request.outputTokensCap !== null) body.max_tokens = request.outputTokensCap;
      for (const name of SHARED) if (request.body[name] !== undefined) body[name] = request.body[name];
      if (request.stream) body.stream_options = { include_usage: true };
      capChatOutput(body, upstreamModel, affordableOutputTokens);
      return body;
    },
  };
}
