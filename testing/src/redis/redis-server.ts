import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../eventually.js';

const BINARY = 'redis-server';

/** A Redis of one spec file: a real server with an append-only file in a temporary folder. */
export interface TestRedis {
  readonly url: string;
  /** Ends the server by a signal and waits until it is gone; its data stays. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port and data. */
  start(): Promise<void>;
  /** Sends it a signal that it does not end of: SIGSTOP, SIGCONT. */
  signal(signal: NodeJS.Signals): void;
  /** Ends it and removes its data. */
  remove(): Promise<void>;
}

/** Whether this machine has a redis-server; there is none that npm could install. */
export function hasRedis(): boolean {
  return spawnSync(BINARY, ['--version']).status === 0;
}

/**
 * Declares tests that need Redis. On a machine without a redis-server they are skipped, and counted as such: `.ci/run` takes a
 * skipped test for a failed one.
 */
export function describeWithRedis(name: string, tests: () => void): void {
  if (hasRedis()) describe(name, tests);
  // The one place where tests may be skipped.
  else describe.skip(name, tests);
}

/** Starts a Redis on a free port of loopback; `settings` are further arguments of redis-server. */
export async function startRedis(settings: readonly string[] = []): Promise<TestRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-redis-'));
  const port = await freePort();
  let server: ChildProcess | null = null;
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    if (server === null) return;
    const exited = new Promise((resolve) => server?.once('exit', resolve));
    server.kill(signal);
    await exited;
    server = null;
  };
  const start = async (): Promise<void> => {
    server = spawn(BINARY, redisArguments({ port, folder, settings }), { stdio: 'ignore' });
    await eventually(() => accepts(port));
  };
  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    stop,
    start,
    signal: (signal) => void server?.kill(signal),
    remove: async () => {
      await stop('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** As docker-compose.yml starts it. */
function redisArguments(options: { port: number; folder: string; settings: readonly string[] }): string[] {
  const { port, folder, settings } = options;
  const place = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder];
  const durable = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction'];
  return [...place, ...durable, ...settings];
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function accepts(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  try {
    // It takes connections before it has read its data, and answers PING then with LOADING.
    const answer = await new Promise<string>((resolve, reject) => {
      socket.once('error', reject).once('data', (data) => resolve(data.toString()));
      socket.write('PING\r\n');
    });
    if (/LOADING/.test(answer)) throw new Error(answer);
  } finally {
    socket.destroy();
  }
}
