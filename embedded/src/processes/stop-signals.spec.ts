import { StopSignals } from './stop-signals.js';

describe('StopSignals', () => {
  const takeAt = (timesMs: readonly number[]): string[] => {
    const seen: string[] = [];
    let nowMs = 0;
    const signals = new StopSignals(
      {
        stop: () => seen.push('stop'),
        force: () => seen.push('force'),
        leave: () => seen.push('leave'),
      },
      () => nowMs,
    );
    for (const timeMs of timesMs) {
      nowMs = timeMs;
      signals.take();
    }
    return seen;
  };

  it('stops at the first request, forces at the second and leaves at the third', () => {
    expect(takeAt([0, 2_000, 4_000, 6_000])).toEqual(['stop', 'force', 'leave']);
  });

  it('takes signals that arrive together for one request', () => {
    expect(takeAt([0, 3, 900])).toEqual(['stop']);
    expect(takeAt([0, 3, 5_000, 5_001])).toEqual(['stop', 'force']);
  });
});
