import { Pool } from 'pg';

export interface PoolOptions {
  readonly url: string;
  /** Most connections that it opens. */
  readonly max: number;
  /** Shown by Postgres as the name of the connections. */
  readonly name: string;
  /** Longest wait for an answer; 30,000 unless told. The connection is given up then. */
  readonly queryTimeoutMs?: number;
}

/**
 * A pool of plain connections. Table names are to be written with their schema, because a connection pooler in between
 * would forget a search path. Nothing connects before the first query.
 */
export function createPool(options: PoolOptions): Pool {
  const pool = new Pool({
    connectionString: options.url,
    max: options.max,
    application_name: options.name,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 60_000,
    query_timeout: options.queryTimeoutMs ?? 30_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  });
  // An idle connection that dies is replaced with the next query; without a handler it would end the process.
  pool.on('error', () => undefined);
  // Neither may one that is in use: its query rejects, and whoever holds it between two queries hears of it with the next.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}
