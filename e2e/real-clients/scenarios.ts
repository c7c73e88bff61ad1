import { type BehaviourInput } from '@tollgate/testing';
import type { ClientRequest } from './client-process.js';

/** What happens to a client, and what the gateway answers to each of its requests then. */
export interface Scenario {
  readonly title: string;
  readonly operation: ClientRequest['operation'];
  readonly key?: 'poor' | 'wrong';
  readonly model?: 'embedding' | 'unknown';
  /** What the upstream does. */
  readonly behaviour?: BehaviourInput;
  readonly request?: Pick<ClientRequest, 'temperature' | 'input' | 'encodingFormat' | 'abortAfterPieces'>;
  /** The status of every answer. */
  readonly status: number;
}

/** Letters of two and three bytes, and no blank, which some clients trim from the ends. */
const LETTERS = { chunks: 12, chunkBytes: 24, alphabet: 'wörld·你好,' };

/** What the clients are asked to do, in the order of the document. */
export const ANSWER_NAMES = [
  'text',
  'stream',
  'collect',
  'abort',
  'embedding',
  'embeddings',
  'embeddings_float',
] as const;

export type AnswerName = (typeof ANSWER_NAMES)[number];

const ANSWERS: Readonly<Record<AnswerName, Scenario>> = {
  text: { title: 'text', operation: 'text', behaviour: LETTERS, status: 200 },
  stream: {
    title: 'stream',
    operation: 'stream',
    behaviour: { ...LETTERS, chunkDelayMs: 2, quirks: ['split_writes'] },
    status: 200,
  },
  collect: { title: 'stream helper', operation: 'collect', behaviour: LETTERS, status: 200 },
  abort: {
    title: 'abort',
    operation: 'abort',
    behaviour: { fault: 'endless', chunkDelayMs: 10 },
    request: { abortAfterPieces: 5 },
    status: 200,
  },
  embedding: {
    title: 'embedding',
    operation: 'embed',
    model: 'embedding',
    request: { input: 'one text' },
    status: 200,
  },
  embeddings: {
    title: 'embeddings, batch',
    operation: 'embed',
    model: 'embedding',
    request: { input: ['one text', 'another text', '第三'] },
    status: 200,
  },
  embeddings_float: {
    title: 'embeddings, float',
    operation: 'embed',
    model: 'embedding',
    // An upstream that knows base64 only: what the client gets is the gateway's doing.
    behaviour: { embeddingEncoding: 'base64' },
    request: { input: ['one text', 'another text'], encodingFormat: 'float' },
    status: 200,
  },
};

const CONTEXT_TOO_LONG = {
  error: {
    message:
      "This model's maximum context length is 8192 tokens. However, your messages resulted in 11433 tokens. " +
      'Please reduce the length of the messages.',
    type: 'invalid_request_error',
    param: 'messages',
    code: 'context_length_exceeded',
  },
};

/** What goes wrong for the clients, in the order of the document. */
export const ERROR_NAMES = [
  'wrong_key',
  'unknown_model',
  'bad_parameter',
  'context_too_long',
  'no_credit',
  'no_credit_streamed',
  'upstream_busy',
  'upstream_failed',
  'upstream_locked',
  'stream_failed',
] as const;

export type ErrorName = (typeof ERROR_NAMES)[number];

const ERRORS: Readonly<Record<ErrorName, Scenario>> = {
  wrong_key: { title: 'wrong key', operation: 'text', key: 'wrong', status: 401 },
  unknown_model: { title: 'unknown model', operation: 'text', model: 'unknown', status: 404 },
  bad_parameter: { title: 'bad parameter', operation: 'text', request: { temperature: 2.5 }, status: 400 },
  context_too_long: {
    title: 'context too long',
    operation: 'text',
    behaviour: { status: 400, errorBody: CONTEXT_TOO_LONG },
    status: 400,
  },
  no_credit: { title: 'no credit', operation: 'text', key: 'poor', status: 429 },
  no_credit_streamed: { title: 'no credit, streamed', operation: 'stream', key: 'poor', status: 429 },
  upstream_busy: { title: 'upstream busy', operation: 'text', behaviour: { status: 429 }, status: 429 },
  upstream_failed: { title: 'upstream fails', operation: 'text', behaviour: { status: 500 }, status: 502 },
  upstream_locked: {
    title: 'upstream refuses the gateway',
    operation: 'text',
    behaviour: { status: 401 },
    status: 502,
  },
  stream_failed: {
    title: 'upstream fails in a stream',
    operation: 'stream',
    behaviour: { ...LETTERS, fault: 'reset_mid_stream', faultAfterChunks: 3, chunkDelayMs: 5 },
    status: 200,
  },
};

export type ScenarioName = AnswerName | ErrorName;

export const SCENARIOS: Readonly<Record<ScenarioName, Scenario>> = { ...ANSWERS, ...ERRORS };
