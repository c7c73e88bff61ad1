import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { z } from 'zod';
import type { Logger } from './logger.js';

/** The Redis of REDIS_URL cannot carry the queue. The message says why and what to do; it has no password in it. */
export class RedisError extends Error {
  override readonly name = 'RedisError';
}

export interface RedisCheckOptions {
  /** Not set where the queue is in Postgres: then there is nothing to check. */
  readonly url: string | undefined;
  readonly logger: Logger;
  /** How long Redis may take until it answers; 30,000 unless told. */
  readonly waitMs?: number;
}

const WAIT_MS = 30_000;
const RETRY_DELAY_MS = 500;
const CONNECT_TIMEOUT_MS = 5_000;
const VERSION_MIN = [6, 2] as const;

/**
 * Makes sure that Redis is there and keeps what it was given, before anything is added to the queue. It is asked by INFO
 * alone, because hosted Redis often refuses CONFIG.
 * @throws RedisError
 */
export async function assertRedisUsable({ url, logger, waitMs = WAIT_MS }: RedisCheckOptions): Promise<void> {
  if (url === undefined) return;
  const place = placeOf(url);
  const info = await readInfo(url, { place, waitMs });
  assertVersion(info, place);
  assertKeepsJobs(info, place);
  if (info.get('aof_enabled') !== '1') {
    logger.warn(
      { redis: place },
      'Redis has no append-only file: usage events that wait in the queue are lost when it restarts ' +
        '(set appendonly yes)',
    );
  }
}

type Info = ReadonlyMap<string, string>;

async function readInfo(url: string, options: { place: string; waitMs: number }): Promise<Info> {
  const { place, waitMs } = options;
  const deadlineMs = Date.now() + waitMs;
  for (;;) {
    try {
      return await askInfo(url);
    } catch (error) {
      const reason = reasonOf(error);
      if (/NOAUTH|WRONGPASS|NOPERM|invalid password/i.test(reason)) {
        throw new RedisError(
          `Redis at ${place} does not accept the password of REDIS_URL, or its user may not ask INFO: correct REDIS_URL`,
        );
      }
      if (Date.now() > deadlineMs) {
        throw new RedisError(
          `Redis at ${place} did not answer for ${String(waitMs / 1000)} s (${reason}): start it, correct REDIS_URL, ` +
            'or unset REDIS_URL to keep the queue in Postgres',
        );
      }
    }
    await delay(Math.min(RETRY_DELAY_MS, waitMs));
  }
}

async function askInfo(url: string): Promise<Info> {
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: CONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  let lost: Error | undefined;
  client.on('error', (error: Error) => (lost = error));
  try {
    await client.connect();
    return parseInfo(await client.info());
  } catch (error) {
    // What ioredis rejects with is "Connection is closed"; why it is closed came as an event.
    throw lost ?? error;
  } finally {
    client.disconnect();
  }
}

function parseInfo(text: string): Info {
  const lines = text.split(/\r?\n/).filter((line) => line.includes(':'));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}

function assertVersion(info: Info, place: string): void {
  // Valkey is younger than the Redis version that it states for the sake of old clients; that one is new enough.
  const version = info.get('redis_version') ?? '0';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [majorMin, minorMin] = VERSION_MIN;
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return;
  throw new RedisError(
    `Redis at ${place} is version ${version}; the queue needs ${VERSION_MIN.join('.')} or newer: upgrade it, or unset ` +
      'REDIS_URL to keep the queue in Postgres',
  );
}

function assertKeepsJobs(info: Info, place: string): void {
  const policy = info.get('maxmemory_policy');
  if (policy === undefined || policy === 'noeviction') return;
  throw new RedisError(
    `Redis at ${place} may throw usage events away (maxmemory-policy is ${policy}): set maxmemory-policy noeviction, and ` +
      'give other uses that want eviction a Redis of their own',
  );
}

/** Host and port of a URL, without its user and password. */
function placeOf(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port === '' ? '6379' : port}`;
}

/** A Redis error also carries the command that failed, and that may be AUTH: only its message, or else its code, goes on. */
function reasonOf(error: unknown): string {
  const { message, code } = reasonSchema.parse(error);
  return message || code || 'unknown error';
}

/** Where a name has several addresses, Node's error has no message of its own. */
const reasonSchema = z.object({ message: z.string(), code: z.string() }).partial().catch({});
