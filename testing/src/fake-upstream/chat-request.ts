import { z } from 'zod';
import type { ChatRequest } from './chat-frames.js';

const contentSchema = z
  .union([z.string(), z.array(z.looseObject({ text: z.string().optional() })), z.null()])
  .optional();

const chatBodySchema = z.looseObject({
  model: z.string().catch('fake-chat'),
  messages: z.array(z.looseObject({ content: contentSchema })).catch([]),
  stream: z.boolean().nullish().catch(false),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish().catch(null),
  max_tokens: z.number().nullish().catch(null),
  max_completion_tokens: z.number().nullish().catch(null),
});

/** Reads what the fake upstream obeys. It refuses nothing: what was really sent is in the delivery's body. */
export function parseChatRequest(body: unknown): ChatRequest {
  const parsed = chatBodySchema.safeParse(body).data;
  const cap = Math.min(
    parsed?.max_tokens ?? Number.POSITIVE_INFINITY,
    parsed?.max_completion_tokens ?? Number.POSITIVE_INFINITY,
  );
  return {
    model: parsed?.model ?? 'fake-chat',
    streamed: parsed?.stream === true,
    includeUsage: parsed?.stream_options?.include_usage === true,
    outputTokensMax: cap,
    promptBytes: Buffer.byteLength(promptText(body)),
  };
}

/** All text of all messages. */
export function promptText(body: unknown): string {
  const messages = chatBodySchema.safeParse(body).data?.messages ?? [];
  return messages.map(({ content }) => contentText(content)).join('\n');
}

function contentText(content: z.output<typeof contentSchema>): string {
  if (content === null || content === undefined) return '';
  return typeof content === 'string' ? content : content.map((part) => part.text ?? '').join('');
}
