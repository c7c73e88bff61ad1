import assert from 'node:assert/strict';
import type { UsageEvent } from '@tollgate/contracts';
import { z } from 'zod';
import type { TouchedHold, TouchOutcome } from '../hold-store.js';
import type { PocketRest } from '../escrow-return.js';
import type { OverdueHold } from '../settle-swept.js';
import { CLOSE_SCRIPT } from './close.script.js';
import { EXPIRED_SCRIPT } from './expired.script.js';
import { GRANT_SCRIPT } from './grant.script.js';
import { HOLD_SCRIPT } from './hold.script.js';
import { RedisScript, type HoldRedis } from './hold-redis.js';
import { pocketKeys, shardPrefix } from './pocket-keys.js';
import { PROBE_SCRIPT } from './probe.script.js';
import { SHUT_SCRIPT } from './shut.script.js';
import { TOUCH_SCRIPT } from './touch.script.js';

const SCRIPTS = {
  hold: new RedisScript(HOLD_SCRIPT),
  touch: new RedisScript(TOUCH_SCRIPT),
  close: new RedisScript(CLOSE_SCRIPT),
  grant: new RedisScript(GRANT_SCRIPT),
  shut: new RedisScript(SHUT_SCRIPT),
  expired: new RedisScript(EXPIRED_SCRIPT),
  probe: new RedisScript(PROBE_SCRIPT),
};

/** Holds of one account that are renewed by one script, at most: none may keep Redis from the others for long. */
const TOUCH_MAX = 100;

export interface PocketHoldRequest {
  readonly requestId: string;
  readonly accountId: string;
  readonly totalNano: bigint;
  /** The smallest total that is of use. */
  readonly leastNano: bigint;
  /** The escrow that an account without a pocket begins. */
  readonly freshEscrowId: string;
  readonly ttlSeconds: number;
}

/** What a pocket cannot give: its escrow's total has to become `baseNano` + `needNano` (of each request that waits for it). */
export interface ShortPocket {
  readonly outcome: 'short';
  readonly escrowId: string;
  readonly baseNano: bigint;
  readonly needNano: bigint;
  readonly freeNano: bigint;
  /** What the request holds already. */
  readonly hasNano: bigint;
}

export interface PocketHold {
  readonly outcome: 'held';
  readonly escrowId: string;
  readonly grantedNano: bigint;
  /** Left in the pocket. */
  readonly freeNano: bigint;
  /** Available in Postgres beside the escrow, as of the last grant. */
  readonly availableNano: bigint;
  /** What the escrow's total is to become, told below the low-water mark. */
  readonly wantedNano: bigint | null;
}

/** What Redis says about itself. */
export interface RedisHistory {
  /** Name of the history of its data. */
  readonly history: string;
  readonly replicas: number;
  /** Whether Redis refuses writes that no replica would get (`min-replicas-to-write`). */
  readonly needsReplicas: boolean;
}

/**
 * The accounts' pockets in Redis, script by script. Every method rejects with RedisAwayError where Redis fails or does not answer
 * within 250 ms. Amounts are nano-credits; they go to Lua and back as decimal strings.
 */
export class RedisPockets {
  constructor(private readonly redis: HoldRedis) {}

  async hold(request: PocketHoldRequest): Promise<PocketHold | ShortPocket> {
    const { requestId, accountId, totalNano, leastNano, freshEscrowId, ttlSeconds } = request;
    const { pocket, holds, deadlines } = pocketKeys(accountId);
    const least = leastNano < totalNano ? leastNano : totalNano;
    const answer = holdAnswerSchema.parse(
      await SCRIPTS.hold.run(
        this.redis,
        [pocket, holds, deadlines],
        [requestId, accountId, inLua(totalNano), inLua(least), freshEscrowId, String(ttlSeconds)],
      ),
    );
    return toPocketAnswer(answer);
  }

  /** Renews holds and stores their checkpoints; a checkpoint of null keeps the last one. */
  async touch(touched: readonly TouchedHold[], ttlSeconds: number): Promise<Map<string, TouchOutcome>> {
    const outcomes = new Map<string, TouchOutcome>();
    const calls = inCalls(touched).map(async ({ accountId, holds: some }) => {
      const { pocket, holds, deadlines } = pocketKeys(accountId);
      const args = some.flatMap(({ requestId, checkpoint }) => [requestId, checkpointJson(checkpoint)]);
      const answers = touchAnswerSchema.parse(
        await SCRIPTS.touch.run(
          this.redis,
          [pocket, holds, deadlines],
          [accountId, String(ttlSeconds), ...args],
        ),
      );
      assert.equal(answers.length, some.length, 'each hold is answered');
      for (const [index, { requestId }] of some.entries()) {
        outcomes.set(requestId, TOUCH_OUTCOMES[answers[index] ?? 'GONE']);
      }
    });
    await Promise.all(calls);
    return outcomes;
  }

  /** Answers whether there was such a hold. */
  async close(requestId: string, accountId: string, costNano: bigint): Promise<boolean> {
    const { pocket, holds, deadlines } = pocketKeys(accountId);
    const keys = [pocket, holds, deadlines];
    return (await SCRIPTS.close.run(this.redis, keys, [requestId, accountId, inLua(costNano)])) === 'CLOSED';
  }

  /** Answers false where the pocket of that escrow is gone. */
  async grant(
    accountId: string,
    escrowId: string,
    grant: { readonly grantedNano: bigint; readonly availableNano: bigint },
  ): Promise<boolean> {
    const args = [escrowId, inLua(grant.grantedNano), inLua(grant.availableNano)];
    return (await SCRIPTS.grant.run(this.redis, [pocketKeys(accountId).pocket], args)) === 'GRANTED';
  }

  async shut(accountId: string, escrowId: string): Promise<PocketRest> {
    const answer = await SCRIPTS.shut.run(this.redis, [pocketKeys(accountId).pocket], [escrowId]);
    const [outcome, spent, held] = shutAnswerSchema.parse(answer);
    if (outcome === 'GONE' || spent === undefined || held === undefined) return null;
    return { spentNano: BigInt(spent), heldNano: BigInt(held) };
  }

  /** The overdue holds of a shard, the longest overdue first. Each stays until it is closed. */
  async expired(shard: number, holdsMax: number): Promise<OverdueHold[]> {
    const prefix = shardPrefix(shard);
    const args = [prefix, String(holdsMax)];
    const parts = z
      .array(z.string())
      .parse(await SCRIPTS.expired.run(this.redis, [`${prefix}deadlines`], args));
    return Array.from({ length: parts.length / 5 }, (_, index) => {
      const [requestId = '', accountId = '', escrowId = '', total = '0', json = ''] = parts.slice(index * 5);
      return {
        requestId,
        accountId,
        escrowId,
        totalNano: BigInt(total),
        checkpoint: json === '' ? null : readJson(json),
      };
    });
  }

  /** Whether Redis can place holds now. */
  async probe(): Promise<RedisHistory> {
    const answer = await SCRIPTS.probe.run(this.redis, [`${shardPrefix(0)}probe`], []);
    const [history, replicas, needed] = z.tuple([z.string(), z.string(), z.string()]).parse(answer);
    return { history, replicas: Number(replicas), needsReplicas: needed !== '' };
  }
}

function toPocketAnswer(answer: z.infer<typeof holdAnswerSchema>): PocketHold | ShortPocket {
  if (answer[0] === 'HELD') {
    const [, escrowId, granted, free, available, wanted] = answer;
    return {
      outcome: 'held',
      escrowId,
      grantedNano: BigInt(granted),
      freeNano: BigInt(free),
      availableNano: BigInt(available),
      wantedNano: wanted === '' ? null : BigInt(wanted),
    };
  }
  const [, escrowId, base, need, free, has] = answer;
  return {
    outcome: 'short',
    escrowId,
    baseNano: BigInt(base),
    needNano: BigInt(need),
    freeNano: BigInt(free),
    hasNano: BigInt(has),
  };
}

/** Beyond what any account can have, and still exact as a double. */
const LUA_AMOUNT_MAX = BigInt(Number.MAX_SAFE_INTEGER);

function inLua(amountNano: bigint): string {
  assert(amountNano >= -LUA_AMOUNT_MAX, 'an amount is no smaller than a floor can be');
  return (amountNano > LUA_AMOUNT_MAX ? LUA_AMOUNT_MAX : amountNano).toString();
}

function checkpointJson(checkpoint: UsageEvent | null): string {
  return checkpoint === null ? '' : JSON.stringify(checkpoint);
}

/** What cannot be read is passed on as it is: it goes to quarantine, where a person sees it. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

const TOUCH_OUTCOMES = { OPEN: 'open', MOVED: 'moved', GONE: 'gone' } as const;

const integer = z.string().regex(/^-?\d+$/);
const holdAnswerSchema = z.union([
  z.tuple([z.literal('HELD'), z.string(), integer, integer, integer, z.union([integer, z.literal('')])]),
  z.tuple([z.literal('SHORT'), z.string(), integer, integer, integer, integer]),
]);
const touchAnswerSchema = z.array(z.enum(['OPEN', 'MOVED', 'GONE']));
const shutAnswerSchema = z.tuple([z.enum(['SHUT', 'GONE']), integer.optional(), integer.optional()]);

function inCalls(touched: readonly TouchedHold[]): { accountId: string; holds: TouchedHold[] }[] {
  const open = new Map<string, { accountId: string; holds: TouchedHold[] }>();
  const calls: { accountId: string; holds: TouchedHold[] }[] = [];
  for (const hold of touched) {
    let call = open.get(hold.accountId);
    if (call === undefined || call.holds.length >= TOUCH_MAX) {
      call = { accountId: hold.accountId, holds: [] };
      open.set(hold.accountId, call);
      calls.push(call);
    }
    call.holds.push(hold);
  }
  return calls;
}
