import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { run } from './database.js';
import { eventsOf, readJournals } from './journal-files.js';
import type { World } from './world.js';

/** Usage has two copies: the gateway's journal, and the queue with the hold's checkpoint, which are in Redis. */
export type EventCopy = 'journal' | 'queue';

/** The requests whose events are in jobs of the queue, in any state. */
const QUEUED = [
  `for _, key in ipairs(redis.call('KEYS', 'bull:usage:*')) do`,
  `if redis.call('TYPE', key).ok == 'hash' then`,
  `local data = redis.call('HGET', key, 'data')`,
  `if data then for id in string.gmatch(data, 'requestId%p%p%p([%x-]+)') do ids[#ids + 1] = id end end`,
  `end`,
  `end`,
].join(' ');
/** Those that have a hold. */
const HELD = [
  `for _, key in ipairs(redis.call('KEYS', 'tg:*:holds')) do`,
  `for _, id in ipairs(redis.call('HKEYS', key)) do ids[#ids + 1] = id end`,
  `end`,
].join(' ');

const ASKED_MAX = 10_000;
const RETRY_MS = 100;
const POLL_MS = 500;
/** Longer than any fault keeps a server away. */
const PATIENCE_MS = 30_000;

/** Which of the requests have their true usage in the books or in quarantine. */
export async function inBooks(client: Client, requestIds: readonly string[]): Promise<Set<string>> {
  const known = new Set<string>();
  for (let from = 0; from < requestIds.length; from += ASKED_MAX) {
    const { rows } = await client.query<{ id: string }>('SELECT tollgate.known_requests($1) AS id', [
      requestIds.slice(from, from + ASKED_MAX),
    ]);
    for (const { id } of rows) known.add(id);
  }
  return known;
}

/**
 * Which of the requests have their event outside of their gateway by now: in the queue or in the books. Waits for a server that is
 * away; of one that stays away nothing is known, and nothing is answered.
 */
export async function copiedEvents(world: World, requestIds: readonly string[]): Promise<Set<string>> {
  // In this order: what a worker takes out of the queue in between is in the books.
  const queued = await patiently(() => inRedis(world, QUEUED));
  const booked = await patiently(() => booksOf(world, requestIds));
  return new Set(requestIds.filter((id) => queued?.has(id) || booked?.has(id)));
}

/** Resolves when all that one copy has at this moment is in the books, or was given up: then it may be lost. Or when it is over. */
export async function untilRead(world: World, copy: EventCopy, isOver: () => boolean): Promise<void> {
  const all = copy === 'journal' ? inJournals(world) : await patiently(() => inRedis(world, HELD + QUEUED));
  let left = [...(all ?? [])];
  while (left.length > 0 && !isOver()) {
    await delay(POLL_MS);
    const now = await patiently(() =>
      copy === 'journal' ? booksOf(world, left) : inRedis(world, HELD + QUEUED),
    );
    if (now !== null) left = left.filter((id) => now.has(id) !== (copy === 'journal'));
  }
}

function inJournals({ journals }: World): Set<string> {
  return new Set(eventsOf(readJournals(journals)));
}

function booksOf({ postgres }: World, requestIds: readonly string[]): Promise<Set<string>> {
  return run(postgres.ownerUrl(), (client) => inBooks(client, requestIds));
}

async function inRedis({ redis }: World, script: string): Promise<Set<string>> {
  const answer = await redis.ask(`EVAL "local ids = {} ${script} return table.concat(ids, ',')" 0`);
  return new Set(answer.split(',').filter((id) => id !== ''));
}

async function patiently<T>(question: () => Promise<T>): Promise<T | null> {
  const deadlineMs = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await question();
    } catch {
      if (Date.now() > deadlineMs) return null;
      await delay(RETRY_MS);
    }
  }
}
