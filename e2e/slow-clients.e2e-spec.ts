import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, marker, type FakeUpstream } from '@tollgate/testing';
import type { Pool } from 'pg';
import { open, requestBytes } from './conformance/raw-http.js';
import { ACCOUNTS_WITH_HOLDS } from './installation/ledger-books.js';
import { RunningInstallation } from './installation/running-installation.js';

const MODEL = 'slow-chat';
const TRICKLERS = 200;
const DEAF = 20;
const CONNECTIONS = 2_000;
/** Long enough for a client of one byte a second to be slow. */
const SLOW_FOR_MS = 8_000;
/** What no answer may take, however slow the machine. */
const ANSWERED_WITHIN_MS = 30_000;
/** By how much the median may grow over what it was on this machine, in this run, without the slow clients. */
const SLOWDOWN_MAX = 20;
const SLOWDOWN_ALLOWED_MS = 1_000;

let installation: RunningInstallation;
let upstream: FakeUpstream;
let database: Pool;
let apiKey: string;
let slowKey: string;
let medianBeforeMs: number;

beforeAll(async () => {
  installation = await RunningInstallation.start();
  upstream = await installation.startUpstream();
  database = installation.database();
  const admin = installation.admin();
  await admin.sellModel(MODEL, upstream);
  ({ apiKey } = await admin.openAccount('100'));
  ({ apiKey: slowKey } = await admin.openAccount('100000'));
  await servedFor(2_000);
  medianBeforeMs = await servedFor(4_000);
});

afterAll(async () => {
  await database?.end();
  await installation?.discard();
  await upstream?.stop();
});

describe('beside slow clients', () => {
  it('that send one byte a second, others are served as before', async () => {
    const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: slow.test\r\nAuthorization: Bearer ${slowKey}\r\n`;
    const begun = `${head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n`;
    const sockets = await openMany(TRICKLERS);
    // Half of them are slow with their heads, half with their bodies.
    sockets.forEach((socket, index) => socket.write(index % 2 === 0 ? head : begun));
    const trickle = setInterval(() => {
      for (const socket of sockets) socket.write('a');
    }, 1_000);
    try {
      expectNormal(await servedFor(SLOW_FOR_MS));
      expect(sockets.filter(({ destroyed }) => destroyed)).toHaveLength(0);
    } finally {
      clearInterval(trickle);
      for (const socket of sockets) socket.destroy();
    }
    await untilNothingIsHeld();
  });

  it('that never read their answers, others are served as before', async () => {
    await upstream.behaveFor('deaf', { fault: 'endless', chunkBytes: 16_384 });
    const sockets = await openMany(DEAF);
    const body = JSON.stringify({
      model: MODEL,
      stream: true,
      messages: [{ role: 'user', content: marker('deaf') }],
    });
    for (const socket of sockets) {
      socket.pause();
      socket.write(
        requestBytes({
          path: '/v1/chat/completions',
          headers: [
            ['Authorization', `Bearer ${slowKey}`],
            ['Content-Type', 'application/json'],
          ],
          body,
        }),
      );
    }
    try {
      await untilNothingFlows('deaf');
      expectNormal(await servedFor(SLOW_FOR_MS));
    } finally {
      for (const socket of sockets) socket.destroy();
    }
    await eventually(async () => {
      const deaf = (await upstream.deliveries()).filter((delivery) => delivery.marker === 'deaf');
      expect(deaf.filter(({ clientAborted }) => !clientAborted)).toHaveLength(0);
    }, 20_000);
    await untilNothingIsHeld();
  });

  it('that open two thousand connections, others are served as before', async () => {
    const sockets = await openMany(CONNECTIONS);
    // A third says nothing, a third begins a request, a third has had an answer and stays.
    sockets.forEach((socket, index) => {
      if (index % 3 === 1) socket.write('GET /v1/models HTTP/1.1\r\nHost: many.test\r\n');
      if (index % 3 === 2) {
        socket.resume();
        socket.write(`GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${slowKey}\r\n\r\n`);
      }
    });
    try {
      await delay(1_000);
      expectNormal(await servedFor(SLOW_FOR_MS));
    } finally {
      for (const socket of sockets) socket.destroy();
    }
    await untilNothingIsHeld();
  });
});

async function openMany(count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  // In batches, as the queue of connections that wait to be accepted is short.
  for (let opened = 0; opened < count; opened += 100) {
    const batch = Array.from({ length: Math.min(100, count - opened) }, () => open(installation.gatewayUrl));
    await Promise.all(
      batch.map(
        (socket) =>
          new Promise((resolve, reject) => {
            socket.once('connect', resolve);
            socket.once('error', reject);
          }),
      ),
    );
    for (const socket of batch) socket.on('error', () => undefined);
    sockets.push(...batch);
  }
  return sockets;
}

/** Asks one after the other for so long, plain and streamed in turn; answers the median of the latencies. */
async function servedFor(durationMs: number): Promise<number> {
  const latenciesMs: number[] = [];
  for (const endMs = performance.now() + durationMs; performance.now() < endMs;) {
    const startedAtMs = performance.now();
    const response = await fetch(`${installation.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        model: MODEL,
        stream: latenciesMs.length % 2 === 0,
        messages: [{ role: 'user', content: 'hi' }],
      }),
      signal: AbortSignal.timeout(ANSWERED_WITHIN_MS),
    });
    await response.text();
    expect(response.status).toBe(200);
    latenciesMs.push(performance.now() - startedAtMs);
    await delay(20);
  }
  return latenciesMs.sort((a, b) => a - b)[Math.floor(latenciesMs.length / 2)] ?? Number.NaN;
}

function expectNormal(medianMs: number): void {
  console.log(`median latency ${medianMs.toFixed(1)} ms, before ${medianBeforeMs.toFixed(1)} ms`);
  expect(medianMs).toBeLessThan(Math.max(medianBeforeMs * SLOWDOWN_MAX, SLOWDOWN_ALLOWED_MS));
}

/**
 * Resolves once the upstream has written nothing more for a second to any of the deaf: all buffers on the way are full. Until then the
 * upstream itself is slow for others, as it writes for as long as somebody takes it.
 */
async function untilNothingFlows(name: string): Promise<void> {
  const handed = async () => {
    const deliveries = await upstream.deliveries();
    return deliveries.filter((one) => one.marker === name).map(({ bytesHanded }) => bytesHanded);
  };
  await eventually(async () => {
    const before = await handed();
    await delay(1_000);
    expect(before).toHaveLength(DEAF);
    expect(await handed()).toEqual(before);
  }, 120_000);
}

async function untilNothingIsHeld(): Promise<void> {
  await eventually(async () => {
    const { rows } = await database.query(ACCOUNTS_WITH_HOLDS);
    expect(rows).toEqual([]);
  }, 20_000);
}
