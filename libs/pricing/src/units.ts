/**
 * What is metered. The kinds are disjoint: `input` holds only the input tokens that no finer kind counts.
 * They are also the keys of a price's rates.
 */
export const UNIT_KINDS = [
  'input',
  'cachedInput',
  'cacheWriteInput',
  'audioInput',
  'output',
  'audioOutput',
] as const;

export type UnitKind = (typeof UNIT_KINDS)[number];

/** Whole numbers of units by kind; a kind that is absent is zero. */
export type Units = { readonly [kind in UnitKind]?: number };

/** The kind whose rate applies where a price has none for the finer kind. */
export const FALLBACK_KIND: { readonly [kind in UnitKind]?: UnitKind } = {
  cachedInput: 'input',
  cacheWriteInput: 'input',
  audioInput: 'input',
  audioOutput: 'output',
};

/** The largest count of one kind that is taken for real: 2^40 tokens are beyond any context. */
export const UNITS_MAX = 2 ** 40;
