import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { run } from './world/database.js';
import { inBooks } from './world/event-copies.js';
import { eventsOf, readJournals } from './world/journal-files.js';
import type { World } from './world/world.js';

/** What still has to come to rest. */
export type Unrest = readonly string[];

const POLL_MS = 500;
/** Keys in which BullMQ has jobs, each with the command that counts them. */
const QUEUES = [
  'LLEN bull:usage:wait',
  'LLEN bull:usage:active',
  'ZCARD bull:usage:delayed',
  'ZCARD bull:usage:failed',
];

/** Takes every trouble away and starts whatever is down. */
export async function heal(world: World): Promise<void> {
  await world.proxies.heal();
  world.redis.resume();
  for (const app of [...world.gateways, ...world.workers, world.admin]) {
    app.letGo();
    app.resume();
    await app.untilReady();
  }
}

/** Waits until queue, journals, holds and escrows are drained. Answers what is left if that takes longer than `maxMs`. */
export async function untilQuiet(
  world: World,
  maxMs: number,
  report: (line: string) => void,
): Promise<Unrest> {
  const deadlineMs = Date.now() + maxMs;
  return run(world.postgres.ownerUrl(), async (client) => {
    for (let told = ''; ;) {
      const unrest = await unrestOf(world, client);
      if (unrest.length === 0 || Date.now() > deadlineMs) return unrest;
      const line = unrest.join(', ');
      if (line !== told) report(`  waiting for: ${line}`);
      told = line;
      await delay(POLL_MS);
    }
  });
}

/** Holds and pockets in Redis, by their keys. */
export async function leftInRedis(world: World): Promise<string[]> {
  const count = await world.redis.ask(
    `EVAL "local n = 0 for _, key in ipairs(redis.call('KEYS', 'tg:*:holds')) do n = n + redis.call('HLEN', key) end return n" 0`,
  );
  return count === ':0' ? [] : [`${count.slice(1)} holds in Redis`];
}

async function unrestOf(world: World, client: Client): Promise<Unrest> {
  const jobs = await Promise.all(QUEUES.map((command) => world.redis.ask(command)));
  const waiting = jobs.reduce((sum, answer) => sum + Number(answer.slice(1)), 0);
  const { rows } = await client.query<{ kind: string; count: string }>(
    `SELECT kind, count(*) FROM tollgate.reservation WHERE state <> 'closed' GROUP BY kind`,
  );
  const unrest = [
    ...(waiting === 0 ? [] : [`${waiting} jobs`]),
    ...rows.map(({ kind, count }) => `${count} ${kind === 'request' ? 'holds in Postgres' : 'escrows'}`),
    ...(await leftInRedis(world)),
  ];
  if (unrest.length > 0) return unrest;
  // All journals are read for this.
  const unknown = await unknownEvents(world, client);
  return unknown === 0 ? [] : [`${unknown} events of the journal`];
}

/** Events in the journals that are neither in the books nor in quarantine. */
async function unknownEvents(world: World, client: Client): Promise<number> {
  const ids = new Set(eventsOf(readJournals(world.journals)));
  return ids.size - (await inBooks(client, [...ids])).size;
}
