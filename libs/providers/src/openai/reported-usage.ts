import { isJsonObject, type JsonObject } from '@tollgate/openai';
import type { Units } from '@tollgate/pricing';

/** The provider's own count, in the disjoint kinds that prices know. */
export interface ReportedUsage {
  readonly units: Units;
  /** Input tokens of every kind together. */
  readonly inputTokens: number;
  /** Output tokens of every kind together. */
  readonly outputTokens: number;
  readonly reasoningTokens: number;
  readonly cachedTokens: number;
}

/** What a provider reported cannot be true; `reason` is for the log. */
export interface ImpossibleUsage {
  readonly impossible: string;
}

/** Bounds that true usage keeps, in tokens; null where nothing is known. */
export interface UsageBounds {
  readonly outputTokensCap: number | null;
  readonly contextTokens: number | null;
}

/**
 * Reads a usage object of the OpenAI shape and the places where vendors put cached tokens: `prompt_tokens_details`,
 * top level (Moonshot), `prompt_cache_hit_tokens` (DeepSeek), `cache_creation_input_tokens` (DashScope).
 * @returns null if there is no usage, and the reason where it cannot be true: negative, fractional, cached beyond input,
 *   output beyond the cap that was sent, more than the context.
 */
export function readUsage(value: unknown, bounds: UsageBounds): ReportedUsage | ImpossibleUsage | null {
  if (!isJsonObject(value)) return null;
  const input = value.prompt_tokens ?? value.input_tokens;
  const output = value.completion_tokens ?? value.output_tokens ?? 0;
  if (input === undefined || input === null) return null;
  const inputDetails = member(value, 'prompt_tokens_details');
  const outputDetails = member(value, 'completion_tokens_details');
  const counts = {
    input,
    output,
    cached: inputDetails.cached_tokens ?? value.cached_tokens ?? value.prompt_cache_hit_tokens ?? 0,
    cacheWrite:
      inputDetails.cache_write_tokens ??
      inputDetails.cache_creation_input_tokens ??
      value.cache_creation_input_tokens ??
      0,
    audioInput: inputDetails.audio_tokens ?? 0,
    audioOutput: outputDetails.audio_tokens ?? 0,
    reasoning: outputDetails.reasoning_tokens ?? 0,
  };
  return toReported(counts, bounds);
}

function member(object: JsonObject, name: string): JsonObject {
  const value = object[name];
  return isJsonObject(value) ? value : {};
}

type CountName = 'input' | 'output' | 'cached' | 'cacheWrite' | 'audioInput' | 'audioOutput' | 'reasoning';

function toReported(
  raw: { readonly [name in CountName]: unknown },
  bounds: UsageBounds,
): ReportedUsage | ImpossibleUsage {
  const counts: Partial<Record<CountName, number>> = {};
  // Object.entries forgets which keys the object has.
  for (const [name, value] of Object.entries(raw) as [CountName, unknown][]) {
    const count = value ?? 0;
    if (typeof count !== 'number' || !Number.isSafeInteger(count) || count < 0) {
      // This is logged, and a text could be anything.
      return { impossible: `${name} is ${typeof value === 'number' ? String(value) : `a ${typeof value}`}` };
    }
    counts[name] = count;
  }
  const {
    input = 0,
    output = 0,
    cached = 0,
    cacheWrite = 0,
    audioInput = 0,
    audioOutput = 0,
    reasoning = 0,
  } = counts;
  if (cached + cacheWrite + audioInput > input) {
    return { impossible: 'the details of the input exceed the input' };
  }
  if (audioOutput > output) return { impossible: 'the details of the output exceed the output' };
  if (bounds.outputTokensCap !== null && output > bounds.outputTokensCap) {
    return { impossible: `output ${String(output)} exceeds the cap of ${String(bounds.outputTokensCap)}` };
  }
  if (bounds.contextTokens !== null && input + output > bounds.contextTokens) {
    return { impossible: `usage exceeds the context of ${String(bounds.contextTokens)}` };
  }
  return {
    units: {
      input: input - cached - cacheWrite - audioInput,
      output: output - audioOutput,
      ...(cached > 0 && { cachedInput: cached }),
      ...(cacheWrite > 0 && { cacheWriteInput: cacheWrite }),
      ...(audioInput > 0 && { audioInput }),
      ...(audioOutput > 0 && { audioOutput }),
    },
    inputTokens: input,
    outputTokens: output,
    reasoningTokens: reasoning,
    cachedTokens: cached,
  };
}

/** The usage object that clients get, with every member that OpenAI sends. It says what is charged. */
export function usageObject(usage: { readonly units: Units; readonly reasoningTokens?: number }): JsonObject {
  const {
    input = 0,
    cachedInput = 0,
    cacheWriteInput = 0,
    audioInput = 0,
    output = 0,
    audioOutput = 0,
  } = usage.units;
  const promptTokens = input + cachedInput + cacheWriteInput + audioInput;
  const completionTokens = output + audioOutput;
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: {
      cached_tokens: cachedInput,
      audio_tokens: audioInput,
      cache_write_tokens: cacheWriteInput,
    },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoningTokens ?? 0,
      audio_tokens: audioOutput,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}
