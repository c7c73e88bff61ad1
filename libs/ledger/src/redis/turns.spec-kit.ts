import { setImmediate } from 'node:timers/promises';

interface Waiting {
  readonly label: string;
  readonly go: () => Promise<void>;
}

/** Rounds of the event loop in which whoever was answered gets to asking the next thing. */
const ROUNDS_OF_ANSWERS = 6;

/**
 * One thing at a time, in an order that is chosen: whatever several scripts ask of Postgres and Redis waits for its turn, and runs to
 * its end before the next one is picked. So an interleaving is a list of numbers, which can be repeated and made smaller.
 */
export class Turns {
  /** What ran so far, in this order. */
  readonly taken: string[] = [];
  private waiting: Waiting[] = [];

  /** Does something when its turn comes. */
  run<T>(label: string, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ label, go: () => work().then(resolve, reject) });
    });
  }

  /** Lets the scripts run to their end; each number picks one of those that wait, beyond the numbers it is the first. */
  async lead(scripts: readonly Promise<unknown>[], choices: readonly number[]): Promise<void> {
    let isOver = false;
    const all = Promise.all(scripts).finally(() => (isOver = true));
    all.catch(() => undefined);
    for (let turn = 0; ; turn += 1) {
      for (let round = 0; round < ROUNDS_OF_ANSWERS; round += 1) await setImmediate();
      if (this.waiting.length === 0 && isOver) break;
      const place = (choices[turn] ?? 0) % Math.max(1, this.waiting.length);
      const [next] = this.waiting.splice(place, 1);
      if (next === undefined) continue;
      this.taken.push(next.label);
      await next.go();
    }
    await all;
  }
}
