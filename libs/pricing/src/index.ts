export {
  AMOUNT_MAX_NANO,
  AmountFormatError,
  NANO_PER_CREDIT,
  formatAmount,
  formatRate,
  parseAmount,
  parseRate,
} from './money.js';
export { FALLBACK_KIND, UNIT_KINDS, UNITS_MAX, type UnitKind, type Units } from './units.js';
export { MULTIPLIER_ONE_PPM, computeCost, dearestRate, rateOf, type Price } from './cost.js';
