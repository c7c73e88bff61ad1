import { connect } from 'node:net';
import { MasterKey, type RunningProcess } from '@tollgate/runtime';
import {
  createTestDatabase,
  seedInstallation,
  startFakeUpstream,
  type FakeUpstream,
  type SeededInstallation,
  type TestDatabase,
} from '@tollgate/testing';
import { Client } from 'pg';
import { bootGateway } from './boot.js';
import { gatewayConfigSchema } from './gateway.config.js';

/** Planted where it must never come out again. */
export const SECRET = 'canary-upstream-secret';

export interface CallOptions {
  readonly key?: string | null;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/** A gateway in this process, on a real database and real upstreams. */
export class GatewayBench {
  upstream: FakeUpstream;
  spare: FakeUpstream;
  seeded: SeededInstallation;
  owner: Client;
  baseUrl: string;
  private database: TestDatabase;
  private gateway: RunningProcess;
  private readonly masterKey = MasterKey.generate();

  async start(environment: Record<string, string> = {}): Promise<void> {
    [this.database, this.upstream, this.spare] = await Promise.all([
      createTestDatabase(),
      startFakeUpstream({ secret: SECRET }),
      startFakeUpstream({ secret: SECRET }),
    ]);
    this.seeded = await this.seed({ upstreams: [this.upstream.baseUrl] });
    this.gateway = await bootGateway(
      gatewayConfigSchema.parse({
        PORT: '0',
        DATABASE_URL: this.database.appUrl,
        MASTER_KEY: this.masterKey,
        LOG_LEVEL: 'silent',
        ...environment,
      }),
    );
    this.baseUrl = await (this.gateway.app as unknown as { getUrl(): Promise<string> }).getUrl();
    this.owner = new Client({ connectionString: this.database.ownerUrl });
    await this.owner.connect();
  }

  /** As SIGTERM does. */
  async stopGateway(): Promise<void> {
    await this.gateway?.app.close();
  }

  async stop(): Promise<void> {
    await this.stopGateway();
    await Promise.all([this.upstream?.stop(), this.spare?.stop(), this.owner?.end()]);
    await this.database?.drop();
  }

  seed(options: Partial<Parameters<typeof seedInstallation>[0]>): Promise<SeededInstallation> {
    return seedInstallation({
      ownerUrl: this.database.ownerUrl,
      masterKey: this.masterKey,
      upstreams: [],
      upstreamSecret: SECRET,
      ...options,
    });
  }

  post(body: unknown, options: CallOptions = {}): Promise<Response> {
    return this.call('chat/completions', body, options);
  }

  call(path: string, body: unknown, options: CallOptions = {}): Promise<Response> {
    const { key = this.seeded.apiKey, headers = {}, signal } = options;
    return fetch(`${this.baseUrl}/v1/${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(key !== null && { authorization: `Bearer ${key}` }),
        ...headers,
      },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...(signal !== undefined && { signal }),
    });
  }

  chat(text = 'hello', more: object = {}): object {
    return { model: this.seeded.model, messages: [{ role: 'user', content: text }], ...more };
  }

  /** The usage event of a request as it lies in the queue. */
  eventOf(response: Response): Promise<any> {
    const id = response.headers
      .get('x-request-id')
      ?.replace(/^req_(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    return this.waitForEvent((event) => event.requestId === id);
  }

  async waitForEvent(matches: (event: any) => boolean): Promise<any> {
    for (let tries = 0; tries < 100; tries += 1) {
      const { rows } = await this.owner.query('SELECT data FROM bullmq.job');
      for (const { data } of rows) {
        const job = typeof data === 'string' ? JSON.parse(data) : data;
        const found = job.events.find(matches);
        if (found !== undefined) return found;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error('the usage event did not reach the queue');
  }

  /** Sends bytes on a connection of their own and answers all that comes back. */
  rawExchange(bytes: string): Promise<string> {
    const { hostname, port } = new URL(this.baseUrl);
    return new Promise((resolve, reject) => {
      let text = '';
      const socket = connect(Number(port), hostname, () => socket.write(bytes));
      socket.setEncoding('utf8');
      socket.on('data', (piece) => {
        text += String(piece);
      });
      socket.once('close', () => resolve(text)).once('error', reject);
    });
  }
}

/** A refusal in OpenAI's envelope, with all that every refusal has. */
export async function errorOf(
  response: Response,
): Promise<{ status: number; error: Record<string, unknown> }> {
  const body: any = await response.json();
  expect(Object.keys(body)).toEqual(['error']);
  expect(Object.keys(body.error).sort()).toEqual(['code', 'message', 'param', 'type']);
  expect(response.headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/);
  return { status: response.status, error: body.error };
}

/** The chunks of a stream. */
export function events(text: string): any[] {
  return text
    .split('\n\n')
    .filter((event) => event !== '' && event !== 'data: [DONE]')
    .map((event) => JSON.parse(event.replace(/^data: /, '')));
}
