import { connect, type Socket } from 'node:net';
import { MasterKey, type RunningProcess } from '@tollgate/runtime';
import {
  createTestDatabase,
  seedInstallation,
  startFakeUpstream,
  type FakeUpstream,
  type SeededInstallation,
  type TestDatabase,
} from '@tollgate/testing';
import { bootGateway } from '../boot.js';
import { gatewayConfigSchema } from '../gateway.config.js';

/** A gateway in this process, on a database of its own, with one upstream and one key that can pay. */
export interface TestGateway {
  readonly baseUrl: string;
  readonly upstream: FakeUpstream;
  readonly database: TestDatabase;
  readonly seeded: SeededInstallation;
  seed(options: Partial<Parameters<typeof seedInstallation>[0]>): Promise<SeededInstallation>;
  stop(): Promise<void>;
}

export async function startTestGateway(): Promise<TestGateway> {
  const masterKey = MasterKey.generate();
  const upstreamSecret = 'canary-upstream-secret';
  const [database, upstream] = await Promise.all([
    createTestDatabase(),
    startFakeUpstream({ secret: upstreamSecret }),
  ]);
  const seed: TestGateway['seed'] = (options) =>
    seedInstallation({ ownerUrl: database.ownerUrl, masterKey, upstreams: [], upstreamSecret, ...options });
  const seeded = await seed({ upstreams: [upstream.baseUrl] });
  const gateway: RunningProcess = await bootGateway(
    gatewayConfigSchema.parse({
      PORT: '0',
      DATABASE_URL: database.appUrl,
      MASTER_KEY: masterKey,
      LOG_LEVEL: 'silent',
    }),
  );
  return {
    baseUrl: await (gateway.app as unknown as { getUrl(): Promise<string> }).getUrl(),
    upstream,
    database,
    seeded,
    seed,
    stop: async () => {
      await gateway.app.close();
      await upstream.stop();
      await database.drop();
    },
  };
}

/** A connection whose bytes are written and read by hand. */
export class RawConnection {
  text = '';
  isClosed = false;

  private constructor(readonly socket: Socket) {
    socket.setEncoding('latin1');
    socket.on('data', (piece) => {
      this.text += String(piece);
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.isClosed = true;
    });
  }

  static open(baseUrl: string): Promise<RawConnection> {
    const { hostname, port } = new URL(baseUrl);
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => resolve(new RawConnection(socket)));
      socket.once('error', reject);
    });
  }

  write(bytes: string | Buffer): void {
    this.socket.write(bytes);
  }

  /** Waits until what was received fits, or the connection ends. */
  async until(pattern: RegExp): Promise<string> {
    const deadlineMs = Date.now() + 10_000;
    while (!pattern.test(this.text) && !this.isClosed && Date.now() < deadlineMs) await pause(5);
    return this.text;
  }

  /** All that comes until the other side closes. */
  async untilClosed(): Promise<string> {
    await this.until(/(?!)/);
    return this.text;
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Sends bytes on a connection of their own and answers all that comes back until it is closed. */
export async function exchange(baseUrl: string, bytes: string | Buffer): Promise<string> {
  const connection = await RawConnection.open(baseUrl);
  connection.write(bytes);
  const text = await connection.untilClosed();
  connection.close();
  return text;
}

/** A request as it stands on the wire. */
export function rawRequest(line: string, headers: Record<string, string> = {}, body = ''): string {
  const head = Object.entries({ host: 'gateway', ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return `${line} HTTP/1.1\r\n${head.join('')}\r\n${body}`;
}

export interface ParsedAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** The last answer in what a connection received. */
export function parseAnswer(text: string): ParsedAnswer {
  const last = text.slice(text.lastIndexOf('HTTP/1.1 '));
  const [head = '', ...body] = last.split('\r\n\r\n');
  const [line = '', ...fields] = head.split('\r\n');
  return {
    status: Number(line.split(' ')[1]),
    headers: Object.fromEntries(
      fields.map((field) => {
        const colon = field.indexOf(':');
        return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
      }),
    ),
    body: body.join('\r\n\r\n'),
  };
}

/** What every answer has, whoever wrote it. */
export function expectAnswerHeaders(headers: Readonly<Record<string, string | null | undefined>>): void {
  expect(headers['x-request-id']).toMatch(/^req_[0-9a-f]{32}$/);
  expect(headers['request-id']).toBe(headers['x-request-id']);
  expect(headers['openai-processing-ms']).toMatch(/^\d+$/);
  expect(headers['openai-version']).toBe('2020-10-01');
  expect(headers['access-control-allow-origin']).toBe('*');
  expect(headers['access-control-expose-headers']).toContain('x-request-id, request-id');
  expect(headers['access-control-expose-headers']).toContain('retry-after');
  expect(headers.vary).toContain('Origin');
  expect(headers['access-control-allow-credentials'] ?? null).toBeNull();
}

export function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, durationMs);
  });
}
