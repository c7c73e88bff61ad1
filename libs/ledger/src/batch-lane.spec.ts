import { DatabaseError } from 'pg';
import { BUSY, BatchLane, type LockWait } from './batch-lane.js';
import { HoldStoreUnavailableError } from './hold-store.js';

interface Call {
  readonly items: readonly string[];
  readonly wait: LockWait;
  readonly answer: (results: (string | typeof BUSY)[] | Error) => void;
}

/** Stands in for the database: answers each call when it is told to. */
class Calls {
  readonly made: Call[] = [];
  readonly lane: BatchLane<string, string>;

  constructor(options: { batchMax?: number; waitingMax?: number; busyMaxMs?: number } = {}) {
    this.lane = new BatchLane<string, string>({
      call: (items, wait) =>
        new Promise((resolve, reject) => {
          const answer = (results: (string | typeof BUSY)[] | Error): void => {
            if (results instanceof Error) reject(results);
            else resolve(results);
          };
          this.made.push({ items, wait, answer });
        }),
      keyOf: (item) => item.slice(0, 1),
      ...options,
    });
  }

  /** Waits for the next call that nobody has looked at yet. */
  async next() {
    for (let turn = 0; turn < 50; turn += 1) {
      const call = this.made.shift();
      if (call !== undefined) return call;
      await Promise.resolve();
    }
    throw new Error('no call was made');
  }
}

const WAITS: LockWait = { lockTimeoutMs: 50 };

function serverError(code: string): DatabaseError {
  return Object.assign(new DatabaseError('no', 0, 'error'), { code });
}

describe('BatchLane', () => {
  it('sends at once when idle, and gathers while a batch is in flight', async () => {
    const calls = new Calls();
    const first = calls.lane.run('a1');
    const batch = await calls.next();
    expect(batch).toMatchObject({ items: ['a1'], wait: WAITS });
    const others = ['b1', 'c1', 'd1'].map((item) => calls.lane.run(item));
    await Promise.resolve();
    expect(calls.made).toEqual([]);
    batch.answer(['A']);
    expect(await first).toBe('A');
    const second = await calls.next();
    expect(second.items).toEqual(['b1', 'c1', 'd1']);
    second.answer(['B', 'C', 'D']);
    expect(await Promise.all(others)).toEqual(['B', 'C', 'D']);
  });

  it('sends what one turn brings as one batch, bounded', async () => {
    const calls = new Calls({ batchMax: 2 });
    const all = Promise.all(['a', 'b', 'c'].map((item) => calls.lane.run(item)));
    const first = await calls.next();
    expect(first.items).toEqual(['a', 'b']);
    first.answer(['A', 'B']);
    const second = await calls.next();
    expect(second.items).toEqual(['c']);
    second.answer(['C']);
    expect(await all).toEqual(['A', 'B', 'C']);
  });

  it('serves an item that comes in the very turn in which the lane falls idle', async () => {
    const calls = new Calls();
    const answered = calls.lane.run('a1').then(() => calls.lane.run('a2'));
    (await calls.next()).answer(['A1']);
    (await calls.next()).answer(['A2']);
    expect(await answered).toBe('A2');
  });

  it('answers everybody but those of a locked account, and then that one from the slow lane', async () => {
    const calls = new Calls();
    const locked = calls.lane.run('a1');
    const free = calls.lane.run('b1');
    (await calls.next()).answer(serverError('55P03'));
    const again = await calls.next();
    expect(again).toMatchObject({ items: ['a1', 'b1'], wait: 'skip' });
    again.answer([BUSY, 'B']);
    expect(await free).toBe('B');
    const slow = await calls.next();
    expect(slow).toMatchObject({ items: ['a1'], wait: 'skip' });
    slow.answer([BUSY]);
    const waiting = await calls.next();
    expect(waiting).toMatchObject({ items: ['a1'], wait: WAITS });
    waiting.answer(['A']);
    expect(await locked).toBe('A');
  });

  it('keeps later items of a locked account out of the way of others', async () => {
    const calls = new Calls();
    const locked = calls.lane.run('a1');
    (await calls.next()).answer(serverError('55P03'));
    (await calls.next()).answer([BUSY]);
    const slow = await calls.next();
    const later = calls.lane.run('a2');
    const other = calls.lane.run('b1');
    const fast = await calls.next();
    expect(fast).toMatchObject({ items: ['b1'], wait: WAITS });
    fast.answer(['B']);
    expect(await other).toBe('B');
    slow.answer(['A1']);
    const rest = await calls.next();
    expect(rest).toMatchObject({ items: ['a2'], wait: WAITS });
    rest.answer(['A2']);
    expect(await Promise.all([locked, later])).toEqual(['A1', 'A2']);
    const after = calls.lane.run('a3');
    const normal = await calls.next();
    expect(normal).toMatchObject({ items: ['a3'], wait: WAITS });
    normal.answer(['A3']);
    expect(await after).toBe('A3');
  });

  it('meets a locked account once, also with items that were waiting already', async () => {
    const calls = new Calls({ batchMax: 2 });
    const all = ['a1', 'b1', 'a2', 'b2'].map((item) => calls.lane.run(item));
    (await calls.next()).answer(serverError('55P03'));
    (await calls.next()).answer([BUSY, 'B1']);
    const seen: unknown[] = [];
    for (let round = 0; round < 3; round += 1) {
      const call = await calls.next();
      seen.push([call.items, call.wait]);
      call.answer([...call.items]);
    }
    expect(seen).toEqual([
      [['a1'], 'skip'],
      [['b2'], WAITS],
      [['a2'], WAITS],
    ]);
    expect(await Promise.all(all)).toEqual(['a1', 'B1', 'a2', 'b2']);
  });

  it('asks for some of every locked account, and waits for another one each time', async () => {
    const calls = new Calls({ batchMax: 6 });
    const items = ['a1', 'a2', 'a3', 'a4', 'b1', 'b2'];
    const all = items.map((item) => calls.lane.run(item));
    (await calls.next()).answer(serverError('55P03'));
    (await calls.next()).answer(items.map(() => BUSY));
    const seen: unknown[] = [];
    for (let round = 0; round < 4; round += 1) {
      const call = await calls.next();
      seen.push([call.items, call.wait]);
      call.answer(call.items.map(() => BUSY));
    }
    expect(seen).toEqual([
      [['a1', 'a2', 'a3', 'b1', 'b2'], 'skip'],
      [['a1', 'a2', 'a3', 'a4'], WAITS],
      [['b1', 'b2', 'a1', 'a2', 'a3'], 'skip'],
      [['b1', 'b2'], WAITS],
    ]);
    for (const rest of [['a1', 'a2', 'a3', 'b1', 'b2'], ['a4']]) {
      const call = await calls.next();
      expect(call.items).toEqual(rest);
      call.answer(rest);
    }
    expect(await Promise.all(all)).toEqual(items);
  });

  it('gives a locked account up in the end', async () => {
    const calls = new Calls({ busyMaxMs: 0 });
    const locked = calls.lane.run('a1');
    (await calls.next()).answer(serverError('55P03'));
    (await calls.next()).answer([BUSY]);
    (await calls.next()).answer([BUSY]);
    await expect(locked).rejects.toThrow(HoldStoreUnavailableError);
    await expect(locked).rejects.toThrow('the account is locked');
  });

  it.each([
    ['without an answer', new Error('Connection terminated unexpectedly')],
    ['shutting down', serverError('57P01')],
    ['without a free connection', serverError('53300')],
  ])('refuses the whole batch for a server %s', async (_, error) => {
    const calls = new Calls();
    const all = ['a', 'b'].map((item) => calls.lane.run(item));
    (await calls.next()).answer(error);
    for (const one of all) {
      await expect(one).rejects.toMatchObject({ name: 'HoldStoreUnavailableError', cause: error });
    }
  });

  it('lets an item that is itself at fault fail alone', async () => {
    const calls = new Calls();
    const good = calls.lane.run('a1');
    const bad = calls.lane.run('b1');
    const error = serverError('22P02');
    (await calls.next()).answer(error);
    (await calls.next()).answer(['A']);
    (await calls.next()).answer(error);
    expect(await good).toBe('A');
    await expect(bad).rejects.toBe(error);
  });

  it('refuses more than it may keep waiting', async () => {
    const calls = new Calls({ waitingMax: 1 });
    const first = calls.lane.run('a1');
    await expect(calls.lane.run('a2')).rejects.toThrow('too many requests wait');
    (await calls.next()).answer(['A']);
    expect(await first).toBe('A');
  });

  it('answers what it has taken before it shuts down, and takes no more', async () => {
    const calls = new Calls();
    const first = calls.lane.run('a1');
    let shut = false;
    const shutdown = calls.lane.shutdown().then(() => (shut = true));
    await expect(calls.lane.run('a2')).rejects.toThrow('shut down');
    const batch = await calls.next();
    expect(shut).toBe(false);
    batch.answer(['A']);
    expect(await first).toBe('A');
    await shutdown;
  });
});
