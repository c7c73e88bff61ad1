/** npm hands Ctrl-C on to its script, which the terminal signalled too: what follows at once is the same request. */
const SAME_REQUEST_MS = 1_000;

/** What a request to stop leads to, each called once. */
export interface StopRequests {
  /** The first request. */
  readonly stop: () => void;
  /** The second one: do not wait any longer. */
  readonly force: () => void;
  /** The third one: leave whatever is still there. */
  readonly leave: () => void;
}

/** Counts requests to stop; `nowMs` is a clock. */
export class StopSignals {
  private requests = 0;
  private lastMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly handlers: StopRequests,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** Listens to Ctrl-C, `kill`, the end of the terminal, and that of a parent which spawned this with an IPC channel. */
  listen(): void {
    for (const event of ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect'] as const) {
      process.on(event, () => this.take());
    }
  }

  take(): void {
    const nowMs = this.nowMs();
    const same = nowMs - this.lastMs < SAME_REQUEST_MS;
    this.lastMs = nowMs;
    if (same) return;
    this.requests += 1;
    if (this.requests === 1) this.handlers.stop();
    else if (this.requests === 2) this.handlers.force();
    else if (this.requests === 3) this.handlers.leave();
  }
}
