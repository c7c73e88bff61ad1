import { isJsonObject, type EmbeddingRequest, type EncodingFormat, type JsonObject } from '@tollgate/openai';
import { usageObject } from './reported-usage.js';
import { NoAnswerError, type AnswerIdentity, type PlainAnswer, type UpstreamForm } from './upstream-form.js';
import { forwardedBody } from './upstream-request.js';

const FLOAT_BYTES = 4;

/** Asks an upstream's embeddings API for what the client asked of ours. */
export function embeddingForm(request: EmbeddingRequest): UpstreamForm {
  return {
    api: 'embeddings',
    path: '/embeddings',
    body: ({ upstreamModel }) => forwardedBody(request.body, upstreamModel, { stream: false }),
    readAnswer: (text, identity) => readEmbeddingAnswer(text, identity, request.encodingFormat),
    readStream: () => {
      throw new Error('embeddings are not streamed');
    },
    writeUsage: ({ units }) => {
      const { prompt_tokens: tokens } = usageObject({ units });
      return { prompt_tokens: tokens, total_tokens: tokens };
    },
  };
}

/**
 * Reads a plain answer, ordered by index, each vector in the encoding that the client asked for, whatever the upstream
 * sent: SDKs ask for base64 unasked, and take floats for nothing.
 * @throws NoAnswerError for a body that is not JSON or has no vectors.
 */
function readEmbeddingAnswer(text: string, identity: AnswerIdentity, format: EncodingFormat): PlainAnswer {
  const body = parseBody(text);
  const data = (body.data as unknown[])
    .map((item, position) => readVector(item, position, format))
    .sort((a, b) => a.index - b.index);
  return {
    body: { object: 'list', data, model: identity.model },
    usage: body.usage,
    outputBytes: 0,
    isEmpty: false,
  };
}

function parseBody(text: string): JsonObject {
  let body: unknown;
  try {
    body = JSON.parse(text.trim());
  } catch (cause) {
    throw new NoAnswerError('the upstream answered something that is not JSON', { cause });
  }
  if (!isJsonObject(body) || !Array.isArray(body.data) || body.data.length === 0) {
    throw new NoAnswerError('the upstream answered without embeddings');
  }
  return body;
}

function readVector(
  item: unknown,
  position: number,
  format: EncodingFormat,
): { object: string; index: number; embedding: unknown } {
  if (!isJsonObject(item)) throw new NoAnswerError('the upstream answered an embedding that is no object');
  const index = typeof item.index === 'number' ? item.index : position;
  const { embedding } = item;
  if (typeof embedding === 'string') {
    return { object: 'embedding', index, embedding: format === 'base64' ? embedding : decode(embedding) };
  }
  if (!isVector(embedding)) throw new NoAnswerError('the upstream answered an embedding that is no vector');
  return { object: 'embedding', index, embedding: format === 'base64' ? encode(embedding) : embedding };
}

function isVector(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((component) => typeof component === 'number');
}

/** Little-endian float32, as OpenAI writes it. */
function encode(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * FLOAT_BYTES);
  vector.forEach((component, position) => bytes.writeFloatLE(component, position * FLOAT_BYTES));
  return bytes.toString('base64');
}

function decode(base64: string): number[] {
  const bytes = Buffer.from(base64, 'base64');
  return Array.from({ length: Math.floor(bytes.length / FLOAT_BYTES) }, (_, position) =>
    bytes.readFloatLE(position * FLOAT_BYTES),
  );
}
