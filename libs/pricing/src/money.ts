/** Nano-credits in one credit: every amount is a whole number of them. */
export const NANO_PER_CREDIT = 1_000_000_000n;

/** The largest amount of one call and of one account: 9,000,000 credits, below 2^53 nano-credits. */
export const AMOUNT_MAX_NANO = 9_000_000n * NANO_PER_CREDIT;

/** An amount or a rate that is not written as this product writes them. The message says what is expected. */
export class AmountFormatError extends Error {
  override readonly name = 'AmountFormatError';
}

const AMOUNT_PATTERN = /^-?\d{1,10}(\.\d{1,9})?$/;
const RATE_PATTERN = /^\d{1,10}(\.\d{1,6})?$/;

/**
 * Reads an amount of credits ("-12.5") as nano-credits, exactly.
 * @throws AmountFormatError for a number with an exponent, "+", blanks or a tenth decimal, and beyond ±9,000,000 credits.
 */
export function parseAmount(text: string): bigint {
  if (!AMOUNT_PATTERN.test(text)) {
    throw new AmountFormatError(
      'expected a decimal string of credits such as "12.5", with at most 9 decimals',
    );
  }
  const nano = parseFixed(text, 9);
  if (nano > AMOUNT_MAX_NANO || nano < -AMOUNT_MAX_NANO) {
    throw new AmountFormatError('an amount is at most 9000000 credits');
  }
  return nano;
}

/** Writes nano-credits as credits in canonical form: no trailing zeros, "0" for nothing. */
export function formatAmount(nano: bigint): string {
  return formatFixed(nano, 9);
}

/**
 * Reads a rate, credits per million units ("0.15"), as pico-credits per unit. Six decimals per million units are one
 * pico-credit per unit, so this is exact.
 * @throws AmountFormatError for anything but a non-negative decimal string with at most 6 decimals.
 */
export function parseRate(text: string): bigint {
  if (!RATE_PATTERN.test(text)) {
    throw new AmountFormatError(
      'expected credits per million units as a decimal string such as "0.15", with at most 6 decimals',
    );
  }
  return parseFixed(text, 6);
}

/** Writes pico-credits per unit as credits per million units in canonical form. */
export function formatRate(picoPerUnit: bigint): string {
  return formatFixed(picoPerUnit, 6);
}

function parseFixed(text: string, decimals: number): bigint {
  const negative = text.startsWith('-');
  const [whole = '0', fraction = ''] = (negative ? text.slice(1) : text).split('.');
  const scaled = BigInt(whole + fraction.padEnd(decimals, '0'));
  return negative ? -scaled : scaled;
}

function formatFixed(value: bigint, decimals: number): string {
  const digits = (value < 0n ? -value : value).toString().padStart(decimals + 1, '0');
  const fraction = digits.slice(-decimals).replace(/0+$/, '');
  const text = digits.slice(0, -decimals) + (fraction === '' ? '' : `.${fraction}`);
  return value < 0n ? `-${text}` : text;
}
