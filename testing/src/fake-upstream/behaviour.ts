import { z } from 'zod';

/** How the answer goes wrong. Counted faults strike after `faultAfterChunks` content chunks. */
export const faultSchema = z.enum([
  'none',
  /** The connection is reset before any byte of the answer. */
  'reset_before_head',
  /** The same, but only on a connection that already served a request: a keep-alive race. */
  'reset_reused_connection',
  /** The head arrives, then the connection is reset. */
  'reset_after_head',
  'reset_mid_stream',
  /** The connection ends as if all was well, without finish_reason and [DONE]. */
  'end_mid_stream',
  /** Nothing more comes, the connection stays open. */
  'stall_mid_stream',
  /** An error frame, then [DONE]. */
  'error_frame',
  /** Chunks without end, until the client leaves. */
  'endless',
  'broken_json',
  'no_finish_reason',
  'no_done',
]);

/** What other servers do that OpenAI does not. */
export const quirkSchema = z.enum([
  'crlf',
  'no_blank_after_data',
  'comments',
  'azure_first_chunk',
  'error_null',
  'empty_role',
  'usage_in_last_chunk',
  'usage_in_every_chunk',
  'usage_in_choice',
  'blank_lines_before_json',
  'reasoning_content',
  'vendor_keys',
  /** Every frame in two writes, cut inside a line and, where there is one, inside a letter. */
  'split_writes',
]);

const usageObjectSchema = z.record(z.string(), z.unknown());

/** What the fake upstream does with a chat or an embeddings request. Everything is JSON, so that it can be set from another process. */
export const behaviourSchema = z.strictObject({
  /** Count the arrival, then answer only after `release()`. */
  held: z.boolean().default(false),
  delayMs: z.number().int().min(0).default(0),
  status: z.number().int().min(200).max(599).default(200),
  /** Body of an error status; OpenAI's envelope if not given. A string is sent as it is. */
  errorBody: z.unknown().optional(),
  headers: z.record(z.string(), z.string()).default({}),
  /** The answer is `chunks` pieces of `chunkBytes` bytes, each one counted as `tokensPerChunk` tokens. */
  chunks: z.number().int().min(0).default(5),
  chunkBytes: z.number().int().min(1).default(6),
  chunkDelayMs: z.number().int().min(0).default(0),
  tokensPerChunk: z.number().int().min(1).default(1),
  /** Repeated to fill the chunks; may hold letters of several bytes. */
  alphabet: z.string().min(1).default('lorem ipsum dolor sit amet, '),
  /** `exact` is what was delivered; an object is reported as it is, however wrong. */
  usage: z.union([z.literal('exact'), z.literal('none'), usageObjectSchema]).default('exact'),
  /** Prompt tokens to report; by default a quarter of the prompt's bytes, rounded up. */
  promptTokens: z.number().int().min(0).optional(),
  finishReason: z.string().default('stop'),
  fault: faultSchema.default('none'),
  faultAfterChunks: z.number().int().min(0).default(2),
  quirks: z.array(quirkSchema).default([]),
  /** How embeddings are written, whatever the request asks for; `as_asked` is what OpenAI does. */
  embeddingEncoding: z.enum(['float', 'base64', 'as_asked']).default('float'),
});

export type Behaviour = z.output<typeof behaviourSchema>;
export type BehaviourInput = z.input<typeof behaviourSchema>;
export type Quirk = z.output<typeof quirkSchema>;
