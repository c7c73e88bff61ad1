/** The middle of some numbers; of an even count the upper one. */
export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** The value that so many per cent of the others are below. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100));
  return sorted[place] ?? Number.NaN;
}

export function round2(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Ratios of rounds that took turns: the least, the middle one and the most. */
export interface Ratio {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** The first measure over the second, round by round, so that a machine whose speed drifts slows both. */
export function ratioOf(measured: readonly number[], reference: readonly number[]): Ratio {
  const ratios = measured.map((value, round) => value / (reference[round] ?? Number.NaN));
  return {
    min: round2(Math.min(...ratios)),
    median: round2(median(ratios)),
    max: round2(Math.max(...ratios)),
  };
}
