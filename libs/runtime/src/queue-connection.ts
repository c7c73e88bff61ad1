import { createPostgresBackend, setDefaultBackendFactory, type QueueOptions } from 'bullmq';

/** Connections that each queue or worker of this process opens at most, besides the one it listens on. */
export interface QueueConnectionOptions {
  readonly databaseUrl: string;
  readonly connectionsMax: number;
}

/**
 * Makes BullMQ work on Postgres in this process and answers the connection to give to queues and workers. Its schema is
 * migrated by the owner beforehand: the application's role may not.
 */
export function connectQueues(options: QueueConnectionOptions): QueueOptions['connection'] {
  setDefaultBackendFactory(createPostgresBackend);
  const connection = { connectionString: options.databaseUrl, max: options.connectionsMax, migrate: false };
  // BullMQ types this option for Redis; the Postgres backend takes the pool's settings in its place.
  return connection;
}
