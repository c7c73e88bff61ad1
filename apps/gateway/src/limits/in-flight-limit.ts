import { GatewayError } from '../relay/gateway-errors.js';

/** Requests that one process serves at a time, at most: beyond it memory and latency are nobody's promise. */
export const IN_FLIGHT_MAX = 2_000;

/** Counts the requests being served, refuses more than the bound, and tells when the last one has left. */
export class InFlightLimit {
  private count = 0;
  private closed = false;
  private onIdle: (() => void) | null = null;

  constructor(private readonly max = IN_FLIGHT_MAX) {}

  get inFlight(): number {
    return this.count;
  }

  /**
   * Takes a place; the function returned gives it back and must be called once.
   * @throws GatewayError `server_is_overloaded` at the bound and while the process stops.
   */
  enter(): () => void {
    if (this.closed || this.count >= this.max) throw new GatewayError('server_is_overloaded');
    this.count += 1;
    return () => {
      this.count -= 1;
      if (this.count === 0) this.onIdle?.();
    };
  }

  /** Takes no more requests; resolves when the last one has left. */
  close(): Promise<void> {
    this.closed = true;
    if (this.count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.onIdle = resolve;
    });
  }
}
