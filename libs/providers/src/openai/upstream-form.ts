import type { JsonObject } from '@tollgate/openai';
import type { Units } from '@tollgate/pricing';

/** The APIs that a deployment can have. */
export type UpstreamApi = 'chat' | 'completions' | 'embeddings';

/** What every chunk or answer of one request says of itself. */
export interface AnswerIdentity {
  /** 32 hexadecimal digits that stand for the request; each kind of answer has its own prefix before them. */
  readonly key: string;
  /** Unix seconds. */
  readonly created: number;
  /** The model as the client asked for it. */
  readonly model: string;
}

/** A plain answer, read and put into OpenAI's form. */
export interface PlainAnswer {
  /** The body for the client, but for its usage. */
  readonly body: JsonObject;
  /** The upstream's usage object as it came. */
  readonly usage: unknown;
  /** UTF-8 bytes of generated output. */
  readonly outputBytes: number;
  /** The answer says nothing. */
  readonly isEmpty: boolean;
}

/** Reads an upstream's stream event by event and writes each anew for the client. */
export interface StreamReader {
  /** The last usage object that came. Vendors' counts are cumulative: each replaces the one before. */
  readonly usage: unknown;
  /** UTF-8 bytes of all that was said. */
  readonly outputBytes: number;
  /** Deltas that said something: each is at least one token. */
  readonly outputDeltas: number;
  /** The upstream sent its `[DONE]`. */
  readonly sawDone: boolean;
  /** Every choice has its finish reason: nothing of the answer is missing any more. */
  readonly isFinished: boolean;
  /**
   * What the client gets for one event of the upstream; empty where it gets nothing.
   * @throws UpstreamStreamError for an error frame or data that is not JSON; FailedFinishError.
   */
  read(data: string): string;
  /** The finish chunks that the upstream left out. @throws UpstreamStreamError if it also left out `[DONE]`. */
  finish(): string;
  /** Finish chunks with this reason for every choice that has none yet. */
  writeFinish(reason: 'stop' | 'length'): string;
  /** The usage chunk, if the client asked for it. */
  writeUsage(usage: JsonObject): string;
}

/** One way of asking an upstream for the answer to a request. */
export interface UpstreamForm {
  readonly api: UpstreamApi;
  /** The parameter of the request that no other API can serve, where there is one. */
  readonly onlyFor?: string;
  /** Below the deployment's base path. */
  readonly path: string;
  /** The body, with a cap where the balance affords less output than the client asked for. */
  body(call: { upstreamModel: string; affordableOutputTokens: number | null }): JsonObject;
  readAnswer(text: string, identity: AnswerIdentity): PlainAnswer;
  readStream(identity: AnswerIdentity): StreamReader;
  /** The usage object that the client gets: what is charged. */
  writeUsage(usage: { units: Units; reasoningTokens: number }): JsonObject;
}

/** An answer with a success status that is none. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
}

/** The upstream said within a stream that it failed, or ended it without an end. */
export class UpstreamStreamError extends Error {
  override readonly name = 'UpstreamStreamError';
}
