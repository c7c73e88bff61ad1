import { SSE_DONE, encodeSseEvent, isJsonObject, type JsonObject } from '@tollgate/openai';
import { knownMembers, outputBytes } from './chat-message.js';
import { finishReason } from './finish-reason.js';
import { parseChunk, usageIn } from './stream-chunk.js';
import { ToolCallDeltas } from './tool-call-deltas.js';
import { UpstreamStreamError, type AnswerIdentity, type StreamReader } from './upstream-form.js';

interface ChoiceState {
  finished: boolean;
  readonly toolCalls: ToolCallDeltas;
}

/**
 * Reads the chunks of an upstream's chat stream and writes each anew in OpenAI's form, so that no vendor's habits reach
 * a client: one id, creation time and model; the role once; numeric indexes; one of five finish reasons; usage never on
 * a chunk with choices, but in a chunk of its own, and only if it was asked for.
 */
export class ChatStreamReader implements StreamReader {
  /** The last usage object that came. Vendors' counts are cumulative: each replaces the one before. */
  usage: unknown = null;
  /** UTF-8 bytes of all that was said. */
  outputBytes = 0;
  /** Deltas that said something: each is at least one token. */
  outputDeltas = 0;
  /** The upstream sent its `[DONE]`. */
  sawDone = false;
  private readonly choices = new Map<number, ChoiceState>();
  private shared: JsonObject = {};

  constructor(
    private readonly identity: AnswerIdentity,
    private readonly includeUsage: boolean,
  ) {}

  /**
   * What the client gets for one event of the upstream; empty where it gets nothing.
   * @throws UpstreamStreamError for an error frame or data that is not JSON; FailedFinishError.
   */
  read(data: string): string {
    if (data === SSE_DONE) {
      this.sawDone = true;
      return '';
    }
    if (data === '' || this.sawDone) return '';
    const chunk = parseChunk(data);
    this.usage = usageIn(chunk) ?? this.usage;
    if (!Array.isArray(chunk.choices) || chunk.choices.length === 0) return '';
    if (typeof chunk.service_tier === 'string') {
      this.shared = { ...this.shared, service_tier: chunk.service_tier };
    }
    if (typeof chunk.system_fingerprint === 'string') {
      this.shared = { ...this.shared, system_fingerprint: chunk.system_fingerprint };
    }
    const choices = chunk.choices.flatMap((choice: unknown, position) => this.readChoice(choice, position));
    return choices.length === 0 ? '' : this.write(choices);
  }

  /** True once every choice has its finish reason: nothing of the answer is missing any more. */
  get isFinished(): boolean {
    return this.choices.size > 0 && [...this.choices.values()].every((choice) => choice.finished);
  }

  /**
   * The finish chunks that the upstream left out.
   * @throws UpstreamStreamError if it also left out `[DONE]`: then the answer was cut.
   */
  finish(): string {
    if (this.isFinished) return '';
    if (!this.sawDone) {
      throw new UpstreamStreamError('the upstream ended the stream before the answer was finished');
    }
    return this.writeFinish('stop');
  }

  /** Finish chunks with this reason for every choice that has none yet. */
  writeFinish(reason: 'stop' | 'length'): string {
    if (this.choices.size === 0) this.stateOf(0);
    const open = [...this.choices].filter(([, state]) => !state.finished);
    for (const [, state] of open) state.finished = true;
    return open
      .map(([index]) => this.write([{ index, delta: {}, logprobs: null, finish_reason: reason }]))
      .join('');
  }

  /** The usage chunk, if the client asked for it. */
  writeUsage(usage: JsonObject): string {
    if (!this.includeUsage) return '';
    return encodeSseEvent(JSON.stringify({ ...this.head(), choices: [], usage }));
  }

  private head(): JsonObject {
    const { key, created, model } = this.identity;
    return { id: `chatcmpl-${key}`, object: 'chat.completion.chunk', created, model, ...this.shared };
  }

  private write(choices: JsonObject[]): string {
    const chunk = { ...this.head(), choices, ...(this.includeUsage && { usage: null }) };
    return encodeSseEvent(JSON.stringify(chunk));
  }

  private readChoice(value: unknown, position: number): JsonObject[] {
    if (!isJsonObject(value)) return [];
    const index = typeof value.index === 'number' ? value.index : position;
    const isFirst = !this.choices.has(index);
    const state = this.stateOf(index);
    const source = isJsonObject(value.delta) ? value.delta : {};
    const reason = finishReason(value.finish_reason);
    if (state.finished) return [];
    const delta = this.readDelta(source, state, isFirst);
    if (reason !== null) state.finished = true;
    if (!isFirst && reason === null && Object.keys(delta).length === 0) return [];
    return [{ index, delta, logprobs: value.logprobs ?? null, finish_reason: reason }];
  }

  private readDelta(source: JsonObject, state: ChoiceState, isFirst: boolean): JsonObject {
    const bytes = outputBytes(source);
    if (bytes > 0) {
      this.outputBytes += bytes;
      this.outputDeltas += 1;
    }
    const known = knownMembers(source);
    if (known.content === null && !isFirst) delete known.content;
    const toolCalls = state.toolCalls.read(source.tool_calls);
    return {
      ...(isFirst && { role: 'assistant', content: '' }),
      ...known,
      ...(toolCalls.length > 0 && { tool_calls: toolCalls }),
    };
  }

  private stateOf(index: number): ChoiceState {
    let state = this.choices.get(index);
    if (state === undefined) {
      state = { finished: false, toolCalls: new ToolCallDeltas() };
      this.choices.set(index, state);
    }
    return state;
  }
}
