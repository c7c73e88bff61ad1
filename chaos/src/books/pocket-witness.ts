import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { ChaosRedis } from '../world/chaos-redis.js';
import type { Violation } from './jury.js';

const LOOK_INTERVAL_MS = 200;

/** Pockets of other histories than the one that Redis has now: what was spent from them since may be forgotten. */
const STALE_POCKETS = [
  `local now = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')`,
  `local stale = {}`,
  `for _, key in ipairs(redis.call('KEYS', 'tg:*:pocket')) do`,
  `local p = redis.call('HMGET', key, 'escrow', 'history', 'held')`,
  `if p[2] ~= now then stale[#stale + 1] = {key = key, escrow = p[1], held = p[3]} end`,
  `end`,
  `if #stale == 0 then return '' end`,
  `return cjson.encode({history = now, stale = stale})`,
].join(' ');

const answerSchema = z.object({
  history: z.string(),
  stale: z.array(z.object({ key: z.string(), escrow: z.string(), held: z.string() })),
});

/**
 * Watches what Redis forgot. A hold that ends may still lower what such a pocket holds; nothing may be held from it any more: the same
 * money would be promised twice, whether or not anybody runs short of it before the pocket ends.
 */
export class PocketWitness {
  readonly violations: Violation[] = [];
  /** The least that each was seen to hold since Redis has its history. */
  private readonly held = new Map<string, bigint>();
  private readonly accused = new Set<string>();
  private isOver = false;
  private watching: Promise<void> = Promise.resolve();

  constructor(private readonly redis: Pick<ChaosRedis, 'ask'>) {}

  start(): void {
    this.watching = this.watch();
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.watching;
  }

  private async watch(): Promise<void> {
    while (!this.isOver) {
      // It is killed, frozen and slow again and again.
      const answer = await this.redis.ask(`EVAL "${STALE_POCKETS}" 0`).catch(() => '');
      if (answer.startsWith('{')) this.compare(answer);
      await delay(LOOK_INTERVAL_MS);
    }
  }

  private compare(answer: string): void {
    const { history, stale } = answerSchema.parse(JSON.parse(answer));
    for (const { key, escrow, held } of stale) {
      const ref = `${escrow} in ${history}`;
      const now = BigInt(held);
      const before = this.held.get(ref);
      if (before === undefined || now < before) this.held.set(ref, now);
      if (before === undefined || now <= before || this.accused.has(ref)) continue;
      this.accused.add(ref);
      const detail = `${key} is of another history, and holds ${now} instead of ${before}`;
      this.violations.push({ rule: 'stale pocket', ref: escrow, detail });
    }
  }
}
