import { readSnapshot } from '@tollgate/persistence';
import type { Pool, PoolClient } from 'pg';
import { GatewayError } from '../relay/gateway-errors.js';

/** Holds use the same connections: reports must leave them some. */
const RUNNING_MAX = 2;
const WAITING_MAX = 500;
const STATEMENT_TIMEOUT_MS = 5_000;

/**
 * What callers read about themselves, a few at a time: pages that ask for a balance come in bursts, and a large account's
 * report takes a while. Neither may keep a hold waiting.
 */
export class LedgerReads {
  private running = 0;
  private readonly waiting: (() => void)[] = [];
  /** Reads under way by what they read. */
  private readonly shared = new Map<string, Promise<unknown>>();

  constructor(private readonly pool: Pool) {}

  /**
   * Reads in one snapshot.
   * @throws GatewayError `server_is_overloaded` if too many wait, `billing_unavailable` if Postgres did not answer in time.
   */
  async read<T>(work: (connection: PoolClient) => Promise<T>): Promise<T> {
    await this.enter();
    try {
      return await readSnapshot(this.pool, { statementTimeoutMs: STATEMENT_TIMEOUT_MS }, work);
    } catch (cause) {
      if (cause instanceof GatewayError) throw cause;
      throw new GatewayError('billing_unavailable', {}, { cause });
    } finally {
      this.leave();
    }
  }

  /** Like `read`, but whoever asks for the same `subject` meanwhile gets the same answer. */
  readShared<T>(subject: string, work: (connection: PoolClient) => Promise<T>): Promise<T> {
    // A subject is always read by the same work, so what waits under it is a T.
    const pending = this.shared.get(subject) as Promise<T> | undefined;
    if (pending !== undefined) return pending;
    const reading = this.read(work).finally(() => this.shared.delete(subject));
    this.shared.set(subject, reading);
    return reading;
  }

  private async enter(): Promise<void> {
    if (this.running < RUNNING_MAX) {
      this.running += 1;
      return;
    }
    if (this.waiting.length >= WAITING_MAX) throw new GatewayError('server_is_overloaded');
    // Whoever leaves hands its place on.
    await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  private leave(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.running -= 1;
    else next();
  }
}
