import { setTimeout as delay } from 'node:timers/promises';
import {
  closingFrames,
  completionBody,
  contentFrame,
  errorFrame,
  openingFrames,
  usageOf,
  type ChatPlan,
} from './chat-frames.js';
import { answerRefusal } from './answer-refusal.js';
import type { Delivery } from './delivery.js';
import type { RecordedWriter } from './recorded-writer.js';

/** One answer on its way. */
export interface ChatAnswer {
  readonly plan: ChatPlan;
  readonly writer: RecordedWriter;
  readonly delivery: Delivery;
}

/** Answers a chat request as its behaviour says. Rejects when the client leaves. */
export async function answerChat(answer: ChatAnswer): Promise<void> {
  const { plan, writer, delivery } = answer;
  if (await answerRefusal({ behaviour: plan.behaviour, writer, delivery })) return;
  if (plan.request.streamed) await answerStreamed(answer);
  else await answerWhole(answer);
}

async function answerWhole({ plan, writer, delivery }: ChatAnswer): Promise<void> {
  const { behaviour } = plan;
  const chunks = Number.isFinite(plan.chunks) ? plan.chunks : behaviour.chunks;
  let text = JSON.stringify(completionBody({ ...plan, chunks }));
  if (behaviour.fault === 'broken_json') text = text.slice(0, Math.floor(text.length / 2));
  if (behaviour.quirks.includes('blank_lines_before_json')) text = `\n\n\n${text}`;
  writer.head(behaviour.status, {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(text)),
    ...behaviour.headers,
  });
  if (behaviour.fault === 'reset_after_head') return writer.reset();
  const bytes = Buffer.from(text);
  if (behaviour.fault === 'reset_mid_stream') {
    await writer.write(bytes.subarray(0, Math.floor(bytes.length / 2)));
    return writer.reset();
  }
  await writer.write(bytes);
  delivery.chunks = chunks;
  delivery.contentBytes = chunks * behaviour.chunkBytes;
  if (behaviour.fault !== 'broken_json') delivery.usage = usageOf(plan, chunks);
  await writer.end();
}

async function answerStreamed(answer: ChatAnswer): Promise<void> {
  const { plan, writer, delivery } = answer;
  const { behaviour } = plan;
  writer.head(behaviour.status, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    ...behaviour.headers,
  });
  if (behaviour.fault === 'reset_after_head') return writer.reset();
  await writeFrame(answer, openingFrames(plan));
  for (let index = 0; index < plan.chunks; index += 1) {
    if (index === behaviour.faultAfterChunks && (await strike(answer))) return;
    if (behaviour.chunkDelayMs > 0) await delay(behaviour.chunkDelayMs, undefined, { signal: writer.signal });
    delivery.chunks += 1;
    delivery.contentBytes += behaviour.chunkBytes;
    await writeFrame(answer, contentFrame(plan, index));
  }
  const placed = ['usage_in_last_chunk', 'usage_in_choice', 'usage_in_every_chunk'] as const;
  const reported = plan.request.includeUsage || placed.some((quirk) => behaviour.quirks.includes(quirk));
  if (reported) delivery.usage = usageOf(plan, delivery.chunks);
  await writeFrame(answer, closingFrames(plan, delivery.chunks));
  await writer.end();
}

/** Lets a counted fault happen; true if the answer is over with it. */
async function strike(answer: ChatAnswer): Promise<boolean> {
  const { plan, writer } = answer;
  switch (plan.behaviour.fault) {
    case 'reset_mid_stream':
      writer.reset();
      return true;
    case 'end_mid_stream':
      await writer.end();
      return true;
    case 'error_frame':
      await writeFrame(answer, errorFrame(plan));
      await writer.end();
      return true;
    case 'broken_json':
      await writer.write(Buffer.from('data: {"id":"chatcmpl-broken","choices":[{"delta":{"con\n\n'));
      return false;
    case 'stall_mid_stream':
      await new Promise((_, reject) => {
        writer.signal.addEventListener('abort', () => reject(new Error('the client left')));
      });
      return true;
    default:
      return false;
  }
}

async function writeFrame({ plan, writer }: ChatAnswer, frames: string): Promise<void> {
  const bytes = Buffer.from(frames);
  if (!plan.behaviour.quirks.includes('split_writes')) return writer.write(bytes);
  // After the first byte of a letter of several bytes, if there is one.
  const inLetter = bytes.findIndex((byte) => byte >= 0xc0) + 1;
  const cut = inLetter > 0 ? inLetter : Math.floor(bytes.length / 2);
  await writer.write(bytes.subarray(0, cut));
  await delay(1);
  await writer.write(bytes.subarray(cut));
}
