import { SSE_DONE, encodeSseEvent, isJsonObject, type JsonObject } from '@tollgate/openai';
import { completionText } from './completion-answer.js';
import { finishReason } from './finish-reason.js';
import { parseChunk, usageIn } from './stream-chunk.js';
import { UpstreamStreamError, type AnswerIdentity, type StreamReader } from './upstream-form.js';

/** Reads the chunks of a completions or chat stream and writes each as a chunk of a legacy completion. */
export class CompletionStreamReader implements StreamReader {
  usage: unknown = null;
  outputBytes = 0;
  outputDeltas = 0;
  sawDone = false;
  /** Whether each choice, by its index, has its finish reason. */
  private readonly finished = new Map<number, boolean>();

  constructor(
    private readonly identity: AnswerIdentity,
    private readonly includeUsage: boolean,
  ) {}

  get isFinished(): boolean {
    return this.finished.size > 0 && [...this.finished.values()].every((isFinished) => isFinished);
  }

  read(data: string): string {
    if (data === SSE_DONE) {
      this.sawDone = true;
      return '';
    }
    if (data === '' || this.sawDone) return '';
    const chunk = parseChunk(data);
    this.usage = usageIn(chunk) ?? this.usage;
    if (!Array.isArray(chunk.choices)) return '';
    const sources: readonly unknown[] = chunk.choices;
    const choices = sources.flatMap((source, position) => this.readChoice(source, position));
    return choices.length === 0 ? '' : this.write(choices);
  }

  finish(): string {
    if (this.isFinished) return '';
    if (!this.sawDone) {
      throw new UpstreamStreamError('the upstream ended the stream before the answer was finished');
    }
    return this.writeFinish('stop');
  }

  writeFinish(reason: 'stop' | 'length'): string {
    if (this.finished.size === 0) this.finished.set(0, false);
    const open = [...this.finished].filter(([, isFinished]) => !isFinished).map(([index]) => index);
    for (const index of open) this.finished.set(index, true);
    return open
      .map((index) => this.write([{ text: '', index, logprobs: null, finish_reason: reason }]))
      .join('');
  }

  writeUsage(usage: JsonObject): string {
    if (!this.includeUsage) return '';
    return encodeSseEvent(JSON.stringify({ ...this.head(), choices: [], usage }));
  }

  private readChoice(source: unknown, position: number): JsonObject[] {
    if (!isJsonObject(source)) return [];
    const index = typeof source.index === 'number' ? source.index : position;
    if (this.finished.get(index) === true) return [];
    const text = completionText(source, 'delta');
    const reason = finishReason(source.finish_reason);
    this.finished.set(index, reason !== null);
    if (text === '' && reason === null) return [];
    if (text !== '') {
      this.outputBytes += Buffer.byteLength(text);
      this.outputDeltas += 1;
    }
    const logprobs = 'delta' in source ? null : (source.logprobs ?? null);
    return [{ text, index, logprobs, finish_reason: reason }];
  }

  private head(): JsonObject {
    const { key, created, model } = this.identity;
    return { id: `cmpl-${key}`, object: 'text_completion', created, model };
  }

  private write(choices: JsonObject[]): string {
    return encodeSseEvent(
      JSON.stringify({ ...this.head(), choices, ...(this.includeUsage && { usage: null }) }),
    );
  }
}
