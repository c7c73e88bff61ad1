import { findMarker, marker } from '@tollgate/testing';
import { behaviourOf, markerOf, readMarker, type AskedAnswer } from './asked-answer.js';

const asked: AskedAnswer = {
  number: 17,
  isStreamed: true,
  chunks: 12,
  chunkBytes: 30,
  chunkDelayMs: 40,
  tokensPerChunk: 3,
  hasUsage: true,
  fault: 'reset_mid_stream',
  faultAfterChunks: 2,
};

describe('what the upstream is asked for', () => {
  it('stands in the marker of the prompt and is read out of it again', () => {
    const name = findMarker(`Hello ${marker(markerOf(asked))}, how are you?`);
    expect(readMarker(name ?? '')).toEqual(asked);
    expect(readMarker(markerOf({ ...asked, isStreamed: false, hasUsage: false, fault: 'none' }))).toEqual({
      ...asked,
      isStreamed: false,
      hasUsage: false,
      fault: 'none',
    });
  });

  it('is what the fake upstream then does', () => {
    expect(behaviourOf(markerOf(asked))).toEqual({
      chunks: 12,
      chunkBytes: 30,
      chunkDelayMs: 40,
      tokensPerChunk: 3,
      usage: 'exact',
      fault: 'reset_mid_stream',
      faultAfterChunks: 2,
    });
    expect(behaviourOf('somebody-else')).toEqual({});
  });
});
