import assert from 'node:assert/strict';
import { FALLBACK_KIND, UNIT_KINDS, UNITS_MAX, type UnitKind, type Units } from './units.js';

/** One version of a model's rates. Immutable: a request is charged at the price that was pinned when it was admitted. */
export interface Price {
  readonly id: string;
  readonly model: string;
  readonly plan: string;
  /** Pico-credits per unit. */
  readonly rates: { readonly [kind in UnitKind]?: bigint };
  /** Nano-credits added to each charged request. */
  readonly perRequestNano: bigint;
  /** Nano-credits that a charged request costs at least. */
  readonly minimumChargeNano: bigint;
}

const PICO_PER_NANO = 1_000n;

/** A multiplier of 1, in parts per million. */
export const MULTIPLIER_ONE_PPM = 1_000_000;

/** Pico-credits per unit of `kind`: its own rate, else that of the coarser kind, else nothing. */
export function rateOf(price: Price, kind: UnitKind): bigint {
  const fallback = FALLBACK_KIND[kind];
  return price.rates[kind] ?? (fallback === undefined ? undefined : price.rates[fallback]) ?? 0n;
}

/**
 * The dearest rate, in pico-credits per unit, that units of one side can be charged at: what a hold reckons with,
 * because the finer kinds are known only when the provider reports them.
 */
export function dearestRate(price: Price, side: 'input' | 'output'): bigint {
  return UNIT_KINDS.filter((kind) => (FALLBACK_KIND[kind] ?? kind) === side)
    .map((kind) => rateOf(price, kind))
    .reduce((dearest, rate) => (rate > dearest ? rate : dearest), 0n);
}

/**
 * What a charged request costs, in nano-credits: Σ units × rate + perRequest, times the multiplier, summed exactly and
 * rounded once, up; never below the minimum charge. So `0 <= cost × 10^9 − exact < 10^9` in pico-credits × ppm unless
 * the minimum charge decides.
 * @throws AssertionError for units or a multiplier that are not whole, non-negative numbers: callers parse them first.
 */
export function computeCost(charge: { price: Price; units: Units; multiplierPpm: number }): bigint {
  const { price, units, multiplierPpm } = charge;
  assert(Number.isSafeInteger(multiplierPpm) && multiplierPpm >= 0, 'multiplierPpm is a whole number');
  let pico = price.perRequestNano * PICO_PER_NANO;
  for (const kind of UNIT_KINDS) {
    const count = units[kind] ?? 0;
    assert(Number.isInteger(count) && count >= 0 && count <= UNITS_MAX, `${kind} is a count of units`);
    pico += BigInt(count) * rateOf(price, kind);
  }
  const divisor = PICO_PER_NANO * BigInt(MULTIPLIER_ONE_PPM);
  const nano = (pico * BigInt(multiplierPpm) + divisor - 1n) / divisor;
  return nano > price.minimumChargeNano ? nano : price.minimumChargeNano;
}
