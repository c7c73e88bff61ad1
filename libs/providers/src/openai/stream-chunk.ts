import { isJsonObject, type JsonObject } from '@tollgate/openai';
import { UpstreamStreamError } from './upstream-form.js';

/** Parses one chunk of a stream. @throws UpstreamStreamError for what is not an object, and for an error frame. */
export function parseChunk(data: string): JsonObject {
  let chunk: unknown;
  try {
    chunk = JSON.parse(data);
  } catch (cause) {
    throw new UpstreamStreamError('the upstream sent a chunk that is not JSON', { cause });
  }
  if (!isJsonObject(chunk)) throw new UpstreamStreamError('the upstream sent a chunk that is no object');
  // `"error": null` is what some vendors send with every chunk.
  if (chunk.error) {
    throw new UpstreamStreamError('the upstream failed while it answered', { cause: chunk.error });
  }
  return chunk;
}

/** The usage object of a chunk, from wherever vendors put it: top level, the first choice, `x_groq`. */
export function usageIn(chunk: JsonObject): JsonObject | null {
  const [first] = Array.isArray(chunk.choices) ? (chunk.choices as unknown[]) : [];
  const groq = isJsonObject(chunk.x_groq) ? chunk.x_groq.usage : undefined;
  const inChoice = isJsonObject(first) ? first.usage : undefined;
  const usage = chunk.usage ?? inChoice ?? groq;
  return isJsonObject(usage) ? usage : null;
}
