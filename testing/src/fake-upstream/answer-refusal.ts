import { setTimeout as delay } from 'node:timers/promises';
import type { Behaviour } from './behaviour.js';
import { errorBody } from './chat-frames.js';
import type { Delivery } from './delivery.js';
import type { RecordedWriter } from './recorded-writer.js';

/** A request of any kind that is about to be answered. */
export interface OpenAnswer {
  readonly behaviour: Behaviour;
  readonly writer: RecordedWriter;
  readonly delivery: Delivery;
}

/** Waits, resets and refuses as the behaviour says; true if nothing more is to be answered. */
export async function answerRefusal({ behaviour, writer, delivery }: OpenAnswer): Promise<boolean> {
  if (behaviour.delayMs > 0) await delay(behaviour.delayMs, undefined, { signal: writer.signal });
  const reused = delivery.requestsOnConnection > 1;
  if (behaviour.fault === 'reset_before_head' || (behaviour.fault === 'reset_reused_connection' && reused)) {
    writer.reset();
    return true;
  }
  if (behaviour.status < 300) return false;
  const body = behaviour.errorBody ?? errorBody(behaviour.status);
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  writer.head(behaviour.status, {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(text)),
    ...behaviour.headers,
  });
  await writer.write(Buffer.from(text));
  await writer.end();
  return true;
}
