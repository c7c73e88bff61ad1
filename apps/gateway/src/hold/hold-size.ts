import { IMAGE_PART_TOKENS, MEDIA_BYTES_PER_TOKEN, type InputSize } from '@tollgate/openai';
import { computeCost, dearestRate, type Price } from '@tollgate/pricing';

/** Output tokens that are held for where neither the client nor the model says how many there can be. */
export const OUTPUT_TOKENS_DEFAULT = 16_384;

/** Output tokens that a stream's hold begins with, and grows by. */
export const OUTPUT_SLICE_TOKENS = 2_000;

/** An answer shorter than this is not worth beginning: fewer affordable output tokens are a refusal. */
export const OUTPUT_TOKENS_MIN = 256;

/** What the size of a hold is reckoned from. Tokens throughout. */
export interface HoldBasis {
  readonly price: Price;
  readonly multiplierPpm: number;
  readonly input: InputSize;
  readonly contextTokens: number | null;
  /** Output tokens at most, all choices together. */
  readonly outputCap: number;
  /** Output tokens to hold for at first: the cap, or a slice of it. */
  readonly outputWanted: number;
}

/** Nano-credits per credit of pico-credits × ppm: what costs are exact in before they are rounded. */
const PICO_PPM_PER_NANO = 1_000_000_000n;

/**
 * How large a hold has to be. Input is bounded by one token per byte, which is strict for byte-level encodings; where
 * that does not fit the balance, by one per two bytes. Every rate is the dearest that can apply.
 */
export class HoldSize {
  private readonly price: Price;
  private readonly strictInput: number;
  private readonly looseInput: number;

  constructor(private readonly basis: HoldBasis) {
    const { price, input, contextTokens } = basis;
    this.price = {
      ...price,
      rates: { input: dearestRate(price, 'input'), output: dearestRate(price, 'output') },
    };
    const media = input.imageParts * IMAGE_PART_TOKENS + Math.ceil(input.mediaBytes / MEDIA_BYTES_PER_TOKEN);
    const overhead = media + input.tokens + TOKENS_PER_MESSAGE * input.messages + TOKENS_PER_REPLY;
    const context = contextTokens ?? Number.POSITIVE_INFINITY;
    this.strictInput = Math.min(input.textBytes + overhead, context);
    this.looseInput = Math.min(Math.ceil(input.textBytes / 2) + overhead, context);
  }

  /** The hold to ask for, in nano-credits. */
  get totalNano(): bigint {
    return this.cost(this.strictInput, this.basis.outputWanted);
  }

  /** The smallest hold with which the request is worth beginning, in nano-credits. */
  get leastNano(): bigint {
    return this.cost(this.looseInput, Math.min(this.basis.outputWanted, OUTPUT_TOKENS_MIN));
  }

  /** The hold that covers so many output tokens, in nano-credits. */
  totalNanoFor(outputTokens: number): bigint {
    return this.cost(this.strictInput, outputTokens);
  }

  /** Output tokens that a hold covers, up to the cap. */
  outputTokensFor(grantedNano: bigint): number {
    const { outputCap, multiplierPpm } = this.basis;
    const ppm = BigInt(multiplierPpm);
    const rate = (this.price.rates.output ?? 0n) * ppm;
    if (rate === 0n) return outputCap;
    const strict = this.outputTokens(grantedNano, this.strictInput, rate);
    const covered =
      strict >= Math.min(this.basis.outputWanted, outputCap)
        ? strict
        : this.outputTokens(grantedNano, this.looseInput, rate);
    return Math.min(covered, outputCap);
  }

  private outputTokens(grantedNano: bigint, inputTokens: number, rate: bigint): number {
    const fixed =
      (BigInt(inputTokens) * (this.price.rates.input ?? 0n) + this.price.perRequestNano * 1_000n) *
      BigInt(this.basis.multiplierPpm);
    const left = grantedNano * PICO_PPM_PER_NANO - fixed;
    return left < 0n ? 0 : Number(left / rate);
  }

  private cost(inputTokens: number, outputTokens: number): bigint {
    return computeCost({
      price: this.price,
      units: { input: inputTokens, output: outputTokens },
      multiplierPpm: this.basis.multiplierPpm,
    });
  }
}

/** What a chat template adds for each message, and to begin the reply (OpenAI cookbook, "How to count tokens"). */
const TOKENS_PER_MESSAGE = 4;
const TOKENS_PER_REPLY = 3;
