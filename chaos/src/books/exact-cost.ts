/** A price as the database has it. */
export interface KnownPrice {
  readonly id: string;
  readonly model: string;
  /** Pico-credits per unit. */
  readonly inputPico: bigint;
  readonly outputPico: bigint;
  readonly perRequestNano: bigint;
  readonly minimumChargeNano: bigint;
  /** Milliseconds since the epoch. */
  readonly effectiveFromMs: number;
}

const PICO_PER_NANO = 1_000n;
const PPM = 1_000_000n;

/** What so many tokens cost, in nano-credits: rounded up, once. Reckoned without the code that is under test. */
export function exactCostNano(
  price: KnownPrice,
  tokens: { readonly input: number; readonly output: number },
  multiplierPpm: number,
): bigint {
  const pico =
    BigInt(tokens.input) * price.inputPico +
    BigInt(tokens.output) * price.outputPico +
    price.perRequestNano * PICO_PER_NANO;
  const scaled = pico * BigInt(multiplierPpm);
  const whole = scaled / (PICO_PER_NANO * PPM);
  const cost = whole * PICO_PER_NANO * PPM === scaled ? whole : whole + 1n;
  return cost > price.minimumChargeNano ? cost : price.minimumChargeNano;
}

const BYTES_PER_TOKEN = 4;
const TOKENS_PER_MESSAGE = 3;

/** What the policy charges for a prompt of one message where the upstream does not say. */
export function estimatedInputTokens(promptBytes: number): number {
  return Math.ceil(promptBytes / BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE;
}

/** What the policy charges for content where the upstream does not say. */
export function estimatedOutputTokens(contentBytes: number): number {
  return Math.ceil(contentBytes / BYTES_PER_TOKEN);
}
