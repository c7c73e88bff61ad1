import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** Decisions out of one seed. Each part of a run has a choice of its own, so that one does not disturb the others. */
export class SeededChoice {
  private readonly generator: ReturnType<typeof xoroshiro128plus>;

  constructor(private readonly seed: number) {
    this.generator = xoroshiro128plus(seed);
  }

  /** The choice of one part of the run: the same for the same seed and name. */
  of(part: string): SeededChoice {
    let mixed = this.seed | 0;
    for (const letter of part) mixed = (Math.imul(mixed, 31) + (letter.codePointAt(0) ?? 0)) | 0;
    return new SeededChoice(mixed);
  }

  /** A whole number from `from` to `to`, both possible. */
  between(from: number, to: number): number {
    return uniformInt(this.generator, from, to);
  }

  /** A number from 0 to 1. */
  fraction(): number {
    return this.between(0, 1_000_000) / 1_000_000;
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(values: readonly T[]): T {
    const value = values[this.between(0, values.length - 1)];
    if (value === undefined) throw new Error('there is nothing to pick from');
    return value;
  }

  /** One of several by weight. */
  weighted<T extends string>(weights: Readonly<Record<T, number>>): T {
    const entries = Object.entries<number>(weights);
    let left = this.fraction() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      left -= weight;
      if (left <= 0 && weight > 0) return name as T;
    }
    return entries[0]?.[0] as T;
  }

  shuffled<T>(values: readonly T[]): T[] {
    const mixed = [...values];
    for (let last = mixed.length - 1; last > 0; last -= 1) {
      const other = this.between(0, last);
      [mixed[last], mixed[other]] = [mixed[other] as T, mixed[last] as T];
    }
    return mixed;
  }
}
