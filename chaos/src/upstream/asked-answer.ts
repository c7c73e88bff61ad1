import type { BehaviourInput } from '@tollgate/testing';

/** Ways in which the upstream fails a request, if it does. */
export const ANSWER_FAULTS = [
  'none',
  'reset_before_head',
  'reset_mid_stream',
  'end_mid_stream',
  'error_frame',
] as const;
export type AnswerFault = (typeof ANSWER_FAULTS)[number];

/** What the upstream is to answer to one request. It stands in the marker of the prompt, so that nobody has to be told. */
export interface AskedAnswer {
  /** The request's number in the run. */
  readonly number: number;
  readonly isStreamed: boolean;
  readonly chunks: number;
  readonly chunkBytes: number;
  readonly chunkDelayMs: number;
  readonly tokensPerChunk: number;
  /** Whether the upstream says what was used. */
  readonly hasUsage: boolean;
  readonly fault: AnswerFault;
  readonly faultAfterChunks: number;
}

const MARKER = /^n(\d+)\.([sp])\.k(\d+)\.b(\d+)\.d(\d+)\.t(\d+)\.u([01])\.f(\w+)\.a(\d+)$/;

/** The name of the marker that asks for an answer. */
export function markerOf(asked: AskedAnswer): string {
  const { number, chunks, chunkBytes, chunkDelayMs, tokensPerChunk, fault, faultAfterChunks } = asked;
  const parts = [
    `n${number}`,
    asked.isStreamed ? 's' : 'p',
    `k${chunks}`,
    `b${chunkBytes}`,
    `d${chunkDelayMs}`,
    `t${tokensPerChunk}`,
    `u${asked.hasUsage ? 1 : 0}`,
    `f${fault}`,
    `a${faultAfterChunks}`,
  ];
  return parts.join('.');
}

/** What a marker asks for; null for a marker of somebody else. */
export function readMarker(marker: string): AskedAnswer | null {
  const found = MARKER.exec(marker);
  if (found === null) return null;
  const [, number, kind, chunks, chunkBytes, delayMs, tokens, usage, fault, after] = found;
  return {
    number: Number(number),
    isStreamed: kind === 's',
    chunks: Number(chunks),
    chunkBytes: Number(chunkBytes),
    chunkDelayMs: Number(delayMs),
    tokensPerChunk: Number(tokens),
    hasUsage: usage === '1',
    fault: ANSWER_FAULTS.find((name) => name === fault) ?? 'none',
    faultAfterChunks: Number(after),
  };
}

/** The same, as the fake upstream takes it. A whole answer that is not streamed takes as long as its chunks. */
export function behaviourOf(marker: string): BehaviourInput {
  const asked = readMarker(marker);
  if (asked === null) return {};
  const { chunks, chunkBytes, chunkDelayMs, tokensPerChunk, fault, faultAfterChunks } = asked;
  return {
    chunks,
    chunkBytes,
    chunkDelayMs,
    tokensPerChunk,
    usage: asked.hasUsage ? 'exact' : 'none',
    fault,
    faultAfterChunks,
  };
}
