import type { ChatRequest } from '@tollgate/openai';
import { readChatAnswer } from './chat-answer.js';
import { ChatStreamReader } from './chat-stream.js';
import { usageObject } from './reported-usage.js';
import type { UpstreamForm } from './upstream-form.js';
import { capChatOutput, forwardedBody } from './upstream-request.js';

/** Asks an upstream's chat API for what the client asked of ours. */
export function chatForm(request: ChatRequest): UpstreamForm {
  return {
    api: 'chat',
    path: '/chat/completions',
    body: ({ upstreamModel, affordableOutputTokens }) => {
      const body = forwardedBody(request.body, upstreamModel, request);
      capChatOutput(body, upstreamModel, affordableOutputTokens);
      return body;
    },
    readAnswer: readChatAnswer,
    readStream: (identity) => new ChatStreamReader(identity, request.includeUsage),
    writeUsage: usageObject,
  };
}
