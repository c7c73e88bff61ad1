/** Counts arrivals, and holds those back that are told to wait. */
export class Gate {
  private count = 0;
  private readonly waiting = new Set<() => void>();
  private readonly watchers = new Set<() => void>();

  get arrivals(): number {
    return this.count;
  }

  arrive(): void {
    this.count += 1;
    for (const watch of [...this.watchers]) watch();
  }

  /** Resolves when the gate is released; rejects when the client leaves first. */
  wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (action: () => void) => () => {
        this.waiting.delete(go);
        signal.removeEventListener('abort', leave);
        action();
      };
      const go = settle(resolve);
      const leave = settle(() => reject(new Error('the client left while it was held back')));
      this.waiting.add(go);
      signal.addEventListener('abort', leave);
    });
  }

  /** Lets all go that wait now; says how many. */
  release(): number {
    const waiting = [...this.waiting];
    for (const go of waiting) go();
    return waiting.length;
  }

  /** Resolves once so many arrived since the last reset. */
  waitForArrivals(count: number, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (this.count < count) return;
        this.watchers.delete(check);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.watchers.delete(check);
        reject(
          new Error(`${this.count} of ${count} requests reached the fake upstream within ${timeoutMs} ms`),
        );
      }, timeoutMs);
      this.watchers.add(check);
      check();
    });
  }

  reset(): void {
    this.release();
    this.count = 0;
  }
}
