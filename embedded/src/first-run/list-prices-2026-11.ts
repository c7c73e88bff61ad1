/** One model of the list. Rates are credits (US dollars) for a million tokens, as decimal strings. */
export interface ListPrice {
  readonly model: string;
  readonly contextTokens: number;
  readonly outputTokensMax: number;
  readonly input: string;
  readonly cachedInput: string;
  readonly output: string;
}

/** When the list was written down. Providers change their prices: the operator has to check them. */
export const LIST_PRICES_DATE = '2026-11-21';

/** OpenAI's list prices for its best known chat models, standard service tier: at most 8 of them. */
export const LIST_PRICES: readonly ListPrice[] = [
  price('gpt-5', '1.25 / 0.125 / 10', { contextTokens: 400_000, outputTokensMax: 128_000 }),
  price('gpt-4.1', '2 / 0.5 / 8', { contextTokens: 1_047_576, outputTokensMax: 32_768 }),
  price('gpt-4.1-mini', '0.4 / 0.1 / 1.6', { contextTokens: 1_047_576, outputTokensMax: 32_768 }),
  price('gpt-4.1-nano', '0.1 / 0.025 / 0.4', { contextTokens: 1_047_576, outputTokensMax: 32_768 }),
  price('gpt-4o', '2.5 / 1.25 / 10', { contextTokens: 128_000, outputTokensMax: 16_384 }),
  price('gpt-4o-mini', '0.15 / 0.075 / 0.6', { contextTokens: 128_000, outputTokensMax: 16_384 }),
  price('o3', '2 / 0.5 / 8', { contextTokens: 200_000, outputTokensMax: 100_000 }),
  price('o4-mini', '1.1 / 0.275 / 4.4', { contextTokens: 200_000, outputTokensMax: 100_000 }),
];

/** Reads "input / cached input / output". */
function price(
  model: string,
  rates: string,
  size: { contextTokens: number; outputTokensMax: number },
): ListPrice {
  const [input = '', cachedInput = '', output = ''] = rates.split(' / ');
  return { model, ...size, input, cachedInput, output };
}
