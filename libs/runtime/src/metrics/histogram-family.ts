import { SeriesByLabels, type FamilyOptions } from './metric-family.js';

/** Counts of values by size, as Prometheus keeps them. */
export class Histogram {
  /** How many values fell between each bound and the one before; the last count is of those beyond every bound. */
  readonly counts: number[];
  sum = 0;

  constructor(private readonly bounds: readonly number[]) {
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    const found = this.bounds.findIndex((bound) => value <= bound);
    const index = found === -1 ? this.bounds.length : found;
    this.counts[index] = (this.counts[index] ?? 0) + 1;
    this.sum += value;
  }
}

/** Histograms of one name, one for each combination of label values, which come from bounded sets only. */
export class HistogramFamily {
  private readonly histograms: SeriesByLabels<Histogram>;

  constructor(
    private readonly options: FamilyOptions,
    /** Upper bounds, in the unit of the name, growing. */
    private readonly bounds: readonly number[],
  ) {
    this.histograms = new SeriesByLabels(options, () => new Histogram(bounds));
  }

  /** The histogram with these label values, in the order of the label names. Whoever observes often keeps it. */
  with(...labelValues: string[]): Histogram {
    return this.histograms.with(labelValues);
  }

  /** What prom-client's registry asks a metric for: cumulative buckets, sum and count of each series. */
  get(): object {
    const { name } = this.options;
    const values: object[] = [];
    for (const { labels, series } of this.histograms.all()) {
      let count = 0;
      series.counts.forEach((counted, index) => {
        count += counted;
        const bound = this.bounds[index];
        const le = bound === undefined ? '+Inf' : String(bound);
        values.push({ metricName: `${name}_bucket`, labels: { le, ...labels }, value: count });
      });
      values.push({ metricName: `${name}_sum`, labels, value: series.sum });
      values.push({ metricName: `${name}_count`, labels, value: count });
    }
    return { ...this.options, type: 'histogram', aggregator: 'sum', values };
  }
}
