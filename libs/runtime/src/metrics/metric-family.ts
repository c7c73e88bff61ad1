/** What a family of series is called and which labels tell them apart. */
export interface FamilyOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
}

/** The series of one family by their label values. */
export class SeriesByLabels<Series> {
  private readonly byKey = new Map<
    string,
    { readonly labels: Record<string, string>; readonly series: Series }
  >();

  constructor(
    private readonly options: FamilyOptions,
    private readonly make: () => Series,
  ) {
    // Series without labels exist from the beginning, so that their first increase is an increase.
    if (options.labelNames === undefined) this.with([]);
  }

  /** The series with these values, in the order of the label names. */
  with(labelValues: readonly string[]): Series {
    const key = labelValues.join('\0');
    const known = this.byKey.get(key);
    if (known !== undefined) return known.series;
    const { labelNames = [] } = this.options;
    const labels = Object.fromEntries(labelNames.map((label, index) => [label, labelValues[index] ?? '']));
    const series = this.make();
    this.byKey.set(key, { labels, series });
    return series;
  }

  /** Every series with its labels. */
  all(): { readonly labels: Record<string, string>; readonly series: Series }[] {
    return [...this.byKey.values()];
  }
}
