import { createPostgresBackend, setDefaultBackendFactory, type QueueOptions } from 'bullmq';

/** Where the queue is, and what this process does with it. */
export interface QueueConnectionOptions {
  readonly databaseUrl: string;
  /** Redis for the queue; the queue is in Postgres without it. */
  readonly redisUrl?: string | undefined;
  /** Who adds jobs has to know soon that they were not taken; who takes jobs waits until the queue is back. */
  readonly use: 'add' | 'take';
  /** Connections to Postgres that each queue or worker opens at most, besides the one it listens on. Redis needs fewer. */
  readonly connectionsMax: number;
}

const CONNECT_TIMEOUT_MS = 5_000;
const KEEP_ALIVE_MS = 10_000;
/** A Redis that hangs is as good as one that is away: what waits for it would pile up. */
const SILENCE_MAX_MS = 5_000;
const RECONNECT_DELAY_MIN_MS = 50;
const RECONNECT_DELAY_MAX_MS = 2_000;

/**
 * Makes BullMQ work on Redis or Postgres in this process and answers the connection to give to queues and workers. BullMQ's
 * schema in Postgres is migrated by the owner beforehand: the application's role may not.
 */
export function connectQueues(options: QueueConnectionOptions): QueueOptions['connection'] {
  if (options.redisUrl !== undefined) {
    setDefaultBackendFactory();
    return redisConnection(options.redisUrl, options.use);
  }
  setDefaultBackendFactory(createPostgresBackend);
  const connection = { connectionString: options.databaseUrl, max: options.connectionsMax, migrate: false };
  // BullMQ types this option for Redis; the Postgres backend takes the pool's settings in its place.
  return connection;
}

/**
 * An add fails at once while Redis is away, and is never sent a second time by the client: its sender settles the events in
 * another way then, and an add that comes late would only repeat them.
 */
function redisConnection(url: string, use: QueueConnectionOptions['use']): QueueOptions['connection'] {
  return {
    url,
    connectTimeout: CONNECT_TIMEOUT_MS,
    keepAlive: KEEP_ALIVE_MS,
    retryStrategy: (attempt) =>
      Math.min(RECONNECT_DELAY_MIN_MS * 2 ** Math.min(attempt, 10), RECONNECT_DELAY_MAX_MS),
    ...(use === 'add'
      ? {
          socketTimeout: SILENCE_MAX_MS,
          enableOfflineQueue: false,
          autoResendUnfulfilledCommands: false,
          maxRetriesPerRequest: 0,
        }
      : { maxRetriesPerRequest: null }),
  };
}
