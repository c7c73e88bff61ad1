import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { z } from 'zod';

/** What a notice says: which table changed, and the catalog's version since. The content is to be read anew. */
export interface Change {
  /** Null where anything may have changed: after a reconnect, because notices may have been missed. */
  readonly table: string | null;
  readonly version: bigint | null;
}

export interface ChangeListenerOptions {
  readonly url: string;
  /** Called for each notice, and once after each reconnect. It must not throw. */
  readonly onChange: (change: Change) => void;
  /** Called when the connection is lost or cannot be made; it is tried again anyway. */
  readonly onLost?: (error: Error) => void;
  /** Shown by Postgres as the name of the connection. */
  readonly name?: string;
}

export interface ChangeListener {
  close(): Promise<void>;
}

const POSTGRES_CHANNEL = 'tollgate_changed';
const BACKOFF_MIN_MS = 200;
const BACKOFF_MAX_MS = 10_000;
/** A connection that was cut silently is found out by this question, not by TCP's own patience of hours. */
const HEARTBEAT_MS = 10_000;
const ANSWER_MAX_MS = 5_000;
const FAREWELL_MAX_MS = 1_000;

/**
 * Listens for changes of what gateways cache, on one connection of its own, and reconnects for as long as it is open.
 * Resolves once it listens; where Postgres cannot be reached at first, it rejects and has left nothing behind.
 */
export async function listenForChanges(options: ChangeListenerOptions): Promise<ChangeListener> {
  const listener = new ReconnectingListener(options);
  await listener.start();
  return listener;
}

class ReconnectingListener implements ChangeListener {
  private client: Client | null = null;
  private timer: NodeJS.Timeout | null = null;
  private backoffMs = BACKOFF_MIN_MS;
  private closed = false;

  constructor(private readonly options: ChangeListenerOptions) {}

  async start(): Promise<void> {
    await this.connect();
  }

  async close(): Promise<void> {
    this.closed = true;
    if (this.timer !== null) clearTimeout(this.timer);
    await this.discard();
  }

  private async connect(): Promise<void> {
    const client = new Client({
      connectionString: this.options.url,
      application_name: this.options.name ?? 'tollgate-changes',
      keepAlive: true,
      keepAliveInitialDelayMillis: HEARTBEAT_MS,
      connectionTimeoutMillis: ANSWER_MAX_MS,
      query_timeout: ANSWER_MAX_MS,
    });
    this.client = client;
    // Until it listens, the failing call tells of the loss; afterwards these events do.
    let listening = false;
    const onLoss = (error: Error): void => {
      if (listening) this.lose(client, error);
    };
    client.on('error', onLoss);
    client.on('end', () => onLoss(new Error('the connection for changes has ended')));
    client.on('notification', (message) => this.options.onChange(readChange(message.payload)));
    try {
      await client.connect();
      await client.query(`LISTEN ${POSTGRES_CHANNEL}`);
    } catch (error) {
      await this.discard();
      throw error;
    }
    listening = true;
    this.backoffMs = BACKOFF_MIN_MS;
    this.schedule(HEARTBEAT_MS, () => void this.beat(client));
  }

  private async beat(client: Client): Promise<void> {
    try {
      await client.query('SELECT 1');
      if (this.client === client) this.schedule(HEARTBEAT_MS, () => void this.beat(client));
    } catch (error) {
      this.lose(client, toError(error));
    }
  }

  /** Several events may tell of the same loss; the first one counts. */
  private lose(client: Client, error: Error): void {
    if (this.closed || this.client !== client) return;
    void this.discard();
    this.retryLater(error);
  }

  private retryLater(error: Error): void {
    this.options.onLost?.(error);
    this.schedule(this.backoffMs, () => void this.reconnect());
    this.backoffMs = Math.min(this.backoffMs * 2, BACKOFF_MAX_MS);
  }

  private async reconnect(): Promise<void> {
    try {
      await this.connect();
    } catch (error) {
      if (!this.closed) this.retryLater(toError(error));
      return;
    }
    if (!this.closed) this.options.onChange({ table: null, version: null });
  }

  private schedule(delayMs: number, action: () => void): void {
    if (this.timer !== null) clearTimeout(this.timer);
    if (!this.closed) this.timer = setTimeout(action, delayMs);
  }

  private async discard(): Promise<void> {
    const client = this.client;
    this.client = null;
    if (client === null) return;
    // Where the network is gone, the farewell would wait for TCP to give up.
    const farewell = client.end().catch(() => undefined);
    await Promise.race([farewell, delay(FAREWELL_MAX_MS, undefined, { ref: false })]);
  }
}

const noticeSchema = z.object({ table: z.string(), version: z.string().regex(/^\d+$/) });

/** Any session of the database can send on the channel: what cannot be read is a change of anything. */
function readChange(payload: string | undefined): Change {
  try {
    const { table, version } = noticeSchema.parse(JSON.parse(payload ?? ''));
    return { table, version: BigInt(version) };
  } catch {
    return { table: null, version: null };
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
