import assert from 'node:assert/strict';
import { HoldStoreUnavailableError } from './hold-store.js';
import { isLockTrouble, isServerTrouble, sqlstateOf } from './sqlstate.js';

/** Answers an item whose account is locked by somebody else. */
export const BUSY = Symbol('busy');

/** How a call treats accounts that are locked: it waits up to so long for each, or leaves their items BUSY. */
export type LockWait = { readonly lockTimeoutMs: number } | 'skip';

/** The two parameters that say so to a function that locks accounts. */
export function lockParameters(wait: LockWait): [number | null, boolean] {
  return wait === 'skip' ? [null, true] : [wait.lockTimeoutMs, false];
}

/** One statement for many items. Answers each item, in the same order. */
export type BatchCall<Item, Result> = (
  items: readonly Item[],
  wait: LockWait,
) => Promise<readonly (Result | typeof BUSY)[]>;

export interface BatchLaneOptions<Item, Result extends NonNullable<unknown>> {
  readonly call: BatchCall<Item, Result>;
  /** Items with the same key share a fate: while one is held up, those after it do not hold up others. */
  readonly keyOf: (item: Item) => string;
  /** Most items in one call. */
  readonly batchMax?: number;
  /** Most items without an answer; more are refused. */
  readonly waitingMax?: number;
  /** Longest wait for a locked account. */
  readonly busyMaxMs?: number | undefined;
}

interface Entry<Item, Result extends NonNullable<unknown>> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
  /** Monotonic milliseconds at which a locked account has been waited for long enough. */
  giveUpAtMs: number;
}

const WAIT_A_LITTLE = { lockTimeoutMs: 50 } as const;

/**
 * Gathers items while a batch is in flight, and sends what has gathered as the next batch; an idle lane sends at once.
 *
 * A batch takes the locks of many accounts, so one account that somebody else keeps locked could stall all of them. When
 * a batch has waited 50 ms in vain, it is sent again without waiting, which answers everybody but the items of locked
 * accounts. Those move to the slow lane, and so do items of the same key that come later, until they are answered:
 * the fast lane meets a locked account once.
 */
export class BatchLane<Item, Result extends NonNullable<unknown>> {
  private readonly call: BatchCall<Item, Result>;
  private readonly keyOf: (item: Item) => string;
  private readonly batchMax: number;
  private readonly waitingMax: number;
  private readonly busyMaxMs: number;
  private readonly fast: Entry<Item, Result>[] = [];
  /** The slow lane: what waits, by key, each in its order. */
  private readonly slow = new Map<string, Entry<Item, Result>[]>();
  private waitingCount = 0;
  private fastRun: Promise<void> | null = null;
  private slowRun: Promise<void> | null = null;
  private closed = false;

  constructor(options: BatchLaneOptions<Item, Result>) {
    this.call = options.call;
    this.keyOf = options.keyOf;
    this.batchMax = options.batchMax ?? 200;
    this.waitingMax = options.waitingMax ?? 10_000;
    this.busyMaxMs = options.busyMaxMs ?? 5_000;
  }

  /** @throws HoldStoreUnavailableError, or the server's own error where the item itself is at fault. */
  run(item: Item): Promise<Result> {
    if (this.closed) return Promise.reject(new HoldStoreUnavailableError('the hold store is shut down'));
    if (this.waitingCount >= this.waitingMax) {
      return Promise.reject(new HoldStoreUnavailableError('too many requests wait for the hold store'));
    }
    this.waitingCount += 1;
    const answer = new Promise<Result>((resolve, reject) => {
      const entry = { item, resolve, reject, giveUpAtMs: Number.POSITIVE_INFINITY };
      if (this.slow.has(this.keyOf(item))) this.enterSlowLane(entry);
      else this.enterFastLane(entry);
    });
    return answer.finally(() => (this.waitingCount -= 1));
  }

  /** Answers what is waiting and refuses more. */
  async shutdown(): Promise<void> {
    this.closed = true;
    while (this.fastRun !== null || this.slowRun !== null) await (this.fastRun ?? this.slowRun);
  }

  private enterFastLane(entry: Entry<Item, Result>): void {
    this.fast.push(entry);
    this.fastRun ??= this.driveFastLane();
  }

  private async driveFastLane(): Promise<void> {
    // The rest of this turn may bring more items: they share the batch. No timer is involved.
    await Promise.resolve();
    while (this.fast.length > 0) await this.sendFast(this.fast.splice(0, this.batchMax));
    // In the same turn as the check above: an item that comes later starts a new run.
    this.fastRun = null;
  }

  private async sendFast(entries: Entry<Item, Result>[]): Promise<void> {
    // Some may have been waiting here since before their account turned out to be locked.
    const [free, locked] = partition(entries, (entry) => !this.slow.has(this.keyOf(entry.item)));
    for (const entry of locked) this.enterSlowLane(entry);
    const held = free.length === 0 ? free : await this.send(free, WAIT_A_LITTLE);
    const busy = held.length === 0 ? held : await this.send(held, 'skip');
    for (const entry of busy) this.enterSlowLane(entry);
  }

  private enterSlowLane(entry: Entry<Item, Result>): void {
    entry.giveUpAtMs = performance.now() + this.busyMaxMs;
    const key = this.keyOf(entry.item);
    const queue = this.slow.get(key);
    if (queue === undefined) this.slow.set(key, [entry]);
    else queue.push(entry);
    this.slowRun ??= this.driveSlowLane();
  }

  /**
   * In turn: asks for some of every key without waiting, then waits a little for the lock of one, so that an account
   * whose lock goes from hand to hand gets into the queue for it.
   */
  private async driveSlowLane(): Promise<void> {
    await Promise.resolve();
    while (this.slow.size > 0) {
      const share = Math.max(1, Math.floor(this.batchMax / this.slow.size));
      const queues = [...this.slow.values()].slice(0, this.batchMax);
      await this.sendSlow(
        queues.flatMap((queue) => queue.slice(0, share)),
        'skip',
      );
      this.dropOverdue();
      const [first] = this.slow;
      if (first === undefined) break;
      const [key, queue] = first;
      await this.sendSlow(queue.slice(0, this.batchMax), WAIT_A_LITTLE);
      this.moveToEnd(key);
    }
    this.slowRun = null;
  }

  private async sendSlow(entries: Entry<Item, Result>[], wait: LockWait): Promise<void> {
    const held = new Set(await this.send(entries, wait));
    const answered = new Set(entries.filter((entry) => !held.has(entry)));
    this.keep((entry) => !answered.has(entry));
  }

  private dropOverdue(): void {
    const now = performance.now();
    this.keep((entry) => {
      const overdue = entry.giveUpAtMs <= now;
      if (overdue) entry.reject(new HoldStoreUnavailableError('the account is locked'));
      return !overdue;
    });
  }

  private keep(stays: (entry: Entry<Item, Result>) => boolean): void {
    for (const [key, queue] of this.slow) {
      const rest = queue.filter(stays);
      if (rest.length === 0) this.slow.delete(key);
      else this.slow.set(key, rest);
    }
  }

  private moveToEnd(key: string): void {
    const queue = this.slow.get(key);
    if (queue === undefined) return;
    this.slow.delete(key);
    this.slow.set(key, queue);
  }

  /** Answers the entries and returns those that are held up by a lock. Never throws. */
  private async send(entries: Entry<Item, Result>[], wait: LockWait): Promise<Entry<Item, Result>[]> {
    try {
      const results = await this.call(
        entries.map((entry) => entry.item),
        wait,
      );
      assert.equal(results.length, entries.length, 'each item is answered');
      return entries.filter((entry, index) => {
        const result = results[index];
        if (result === undefined || result === BUSY) return true;
        entry.resolve(result);
        return false;
      });
    } catch (error) {
      return this.sendFailed(entries, wait, error);
    }
  }

  private async sendFailed(
    entries: Entry<Item, Result>[],
    wait: LockWait,
    error: unknown,
  ): Promise<Entry<Item, Result>[]> {
    const sqlstate = sqlstateOf(error);
    if (sqlstate !== null && isLockTrouble(sqlstate)) return entries;
    if (isServerTrouble(sqlstate)) {
      const unavailable = new HoldStoreUnavailableError('Postgres cannot be reached', { cause: error });
      for (const entry of entries) entry.reject(unavailable);
      return [];
    }
    // An item is at fault: alone, it fails alone.
    if (entries.length === 1) {
      entries[0]?.reject(error);
      return [];
    }
    const held: Entry<Item, Result>[] = [];
    for (const entry of entries) held.push(...(await this.send([entry], wait)));
    return held;
  }
}

function partition<T>(items: readonly T[], belongs: (item: T) => boolean): [T[], T[]] {
  return [items.filter(belongs), items.filter((item) => !belongs(item))];
}
