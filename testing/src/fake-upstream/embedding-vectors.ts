import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Behaviour } from './behaviour.js';

/** The parts of an embeddings request that the fake upstream obeys. */
export interface EmbeddingRequest {
  readonly model: string;
  /** The texts; a list of tokens stands as its JSON. */
  readonly inputs: readonly string[];
  readonly dimensions: number;
  readonly asksBase64: boolean;
}

/** Numbers in a vector unless the request says how many. */
const DIMENSIONS_DEFAULT = 16;

const embeddingBodySchema = z.looseObject({
  model: z.string().catch('fake-embedding'),
  input: z.union([z.string(), z.array(z.unknown())]).catch([]),
  dimensions: z.number().int().min(1).catch(DIMENSIONS_DEFAULT),
  encoding_format: z.string().nullish().catch(null),
});

/** Reads what the fake upstream obeys. It refuses nothing: what was really sent is in the delivery's body. */
export function parseEmbeddingRequest(body: unknown): EmbeddingRequest {
  const parsed = embeddingBodySchema.safeParse(body).data;
  return {
    model: parsed?.model ?? 'fake-embedding',
    inputs: inputTexts(parsed?.input ?? []),
    dimensions: parsed?.dimensions ?? DIMENSIONS_DEFAULT,
    asksBase64: parsed?.encoding_format === 'base64',
  };
}

function inputTexts(input: string | readonly unknown[]): string[] {
  if (typeof input === 'string') return [input];
  if (input.length > 0 && input.every((item) => typeof item === 'number')) return [JSON.stringify(input)];
  return input.map((item) => (typeof item === 'string' ? item : JSON.stringify(item)));
}

/**
 * The vector of a text, to compare with what a client received: the same text gives the same one. Its numbers lie
 * between -1 and 1 and are whole 1024ths, so that neither base64 nor JSON changes them.
 */
export function embeddingVector(text: string, dimensions = DIMENSIONS_DEFAULT): number[] {
  const numbers: number[] = [];
  for (let block = 0; numbers.length < dimensions; block += 1) {
    const digest = createHash('sha256')
      .update(`${String(block)}:${text}`)
      .digest();
    for (let offset = 0; offset < digest.length; offset += 2) {
      numbers.push(((digest.readUInt16BE(offset) % 2047) - 1023) / 1024);
    }
  }
  return numbers.slice(0, dimensions);
}

/** The body of an answer. */
export function embeddingsBody(request: EmbeddingRequest, behaviour: Behaviour): Record<string, unknown> {
  const inBase64 =
    behaviour.embeddingEncoding === 'base64' ||
    (behaviour.embeddingEncoding === 'as_asked' && request.asksBase64);
  const data = request.inputs.map((text, index) => {
    const vector = embeddingVector(text, request.dimensions);
    return { object: 'embedding', index, embedding: inBase64 ? toBase64(vector) : vector };
  });
  const usage = embeddingUsage(request, behaviour);
  return { object: 'list', data, model: request.model, ...(usage !== null && { usage }) };
}

/** A vector as OpenAI writes it in base64: little-endian numbers of 32 bits. */
function toBase64(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * Float32Array.BYTES_PER_ELEMENT);
  vector.forEach((number, index) => bytes.writeFloatLE(number, index * Float32Array.BYTES_PER_ELEMENT));
  return bytes.toString('base64');
}

function embeddingUsage(request: EmbeddingRequest, behaviour: Behaviour): unknown {
  if (behaviour.usage === 'none') return null;
  if (behaviour.usage !== 'exact') return behaviour.usage;
  const bytes = request.inputs.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const tokens = behaviour.promptTokens ?? Math.max(1, Math.ceil(bytes / 4));
  return { prompt_tokens: tokens, total_tokens: tokens };
}
