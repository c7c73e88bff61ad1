import { answerRefusal, type OpenAnswer } from './answer-refusal.js';
import { embeddingsBody, type EmbeddingRequest } from './embedding-vectors.js';

/** Answers an embeddings request as its behaviour says: one chunk for each vector. Rejects when the client leaves. */
export async function answerEmbeddings(answer: OpenAnswer, request: EmbeddingRequest): Promise<void> {
  const { behaviour, writer, delivery } = answer;
  if (await answerRefusal(answer)) return;
  const body = embeddingsBody(request, behaviour);
  let text = JSON.stringify(body);
  if (behaviour.fault === 'broken_json') text = text.slice(0, Math.floor(text.length / 2));
  if (behaviour.quirks.includes('blank_lines_before_json')) text = `\n\n\n${text}`;
  const bytes = Buffer.from(text);
  writer.head(behaviour.status, {
    'content-type': 'application/json',
    'content-length': String(bytes.length),
    ...behaviour.headers,
  });
  if (behaviour.fault === 'reset_after_head') return writer.reset();
  if (behaviour.fault === 'reset_mid_stream') {
    await writer.write(bytes.subarray(0, Math.floor(bytes.length / 2)));
    return writer.reset();
  }
  await writer.write(bytes);
  delivery.chunks = request.inputs.length;
  delivery.contentBytes = request.inputs.length * request.dimensions * Float32Array.BYTES_PER_ELEMENT;
  if (behaviour.fault !== 'broken_json') delivery.usage = body.usage ?? null;
  await writer.end();
}
