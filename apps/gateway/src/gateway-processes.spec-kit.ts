import { connect, createServer, type Server, type Socket } from 'node:net';
import { rmSync } from 'node:fs';
import { pocketKeys } from '@tollgate/ledger';
import { MasterKey } from '@tollgate/runtime';
import {
  createTestDatabase,
  eventually,
  seedInstallation,
  startFakeUpstream,
  startRedis,
  untilServed,
  type FakeUpstream,
  type SeededInstallation,
  type TestDatabase,
  type TestRedis,
} from '@tollgate/testing';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { SourceProcess, journalRoot } from './journal/journal.spec-kit.js';

/** Where the holds of the gateways are. */
export type StoreName = 'postgres' | 'redis';

/** A tenth of every deadline of the money path: holds live for 9 s, streams end after 6 s without a renewal. */
const TIME_SCALE = '0.1';

const START_PATIENCE_MS = 60_000;

/** A gateway in a process of its own. */
export interface GatewayProcess {
  readonly process: SourceProcess;
  readonly baseUrl: string;
}

/** What a request left behind in the books. Amounts in nano-credits. */
export interface BookedRequest {
  /** Its usage records: true ones as `true`, swept ones as `swept`. */
  readonly records: readonly string[];
  /** Its transfers, oldest first, as `kind amount`. */
  readonly transfers: readonly string[];
}

/** Gateways and billing as processes, on a real Postgres, a real Redis and a fake upstream, all on short leases. */
export class GatewayProcesses {
  upstream: FakeUpstream;
  seeded: SeededInstallation;
  owner: Client;
  redis: TestRedis;
  pockets: Redis;
  private database: TestDatabase;
  private readonly masterKey = MasterKey.generate();
  private readonly root = journalRoot();
  private readonly processes: SourceProcess[] = [];

  constructor(readonly store: StoreName) {}

  async start(): Promise<void> {
    [this.database, this.upstream, this.redis] = await Promise.all([
      createTestDatabase(),
      startFakeUpstream(),
      startRedis(),
    ]);
    this.seeded = await this.seed();
    this.owner = new Client({ connectionString: this.database.ownerUrl });
    await this.owner.connect();
    this.pockets = new Redis(this.redis.url);
    this.pockets.on('error', () => undefined);
  }

  async stop(): Promise<void> {
    await Promise.all(this.processes.map((one) => one.kill()));
    this.pockets?.disconnect();
    await Promise.all([this.upstream?.stop(), this.owner?.end(), this.redis?.remove()]);
    await this.database?.drop();
    rmSync(this.root, { recursive: true, force: true });
  }

  seed(options: Partial<Parameters<typeof seedInstallation>[0]> = {}): Promise<SeededInstallation> {
    return seedInstallation({
      ownerUrl: this.database.ownerUrl,
      masterKey: this.masterKey,
      upstreams: [this.upstream.baseUrl],
      ...options,
    });
  }

  /** With a model that these gateways have heard of. */
  async seedServed(
    gateways: readonly GatewayProcess[],
    options: Partial<Parameters<typeof seedInstallation>[0]>,
  ): Promise<SeededInstallation> {
    const seeded = await this.seed(options);
    await Promise.all(gateways.map(({ baseUrl }) => untilServed(baseUrl, seeded)));
    return seeded;
  }

  /** `redisUrl` where it is reached on another way. */
  async startGateway(redisUrl = this.redis.url): Promise<GatewayProcess> {
    const started = this.run('apps/gateway/src/main.ts', {
      MASTER_KEY: this.masterKey,
      JOURNAL_DIR: this.root,
      LOG_LEVEL: 'info',
      ...(this.store === 'redis' && { HOLD_STORE: 'redis', REDIS_URL: redisUrl }),
    });
    let output = '';
    started.child.stdout.on('data', (piece) => (output += String(piece)));
    const baseUrl = await eventually(async () => {
      const url = /"url":"(http:[^"]+)"/.exec(output)?.[1];
      if (url === undefined) throw new Error(`the gateway does not listen:\n${output}${started.output}`);
      return url;
    }, START_PATIENCE_MS);
    return { process: started, baseUrl };
  }

  startBilling(): SourceProcess {
    return this.run('apps/billing/src/main.ts', {
      LOG_LEVEL: 'error',
      ...(this.store === 'redis' && { REDIS_URL: this.redis.url }),
    });
  }

  ask({ baseUrl }: GatewayProcess, body: object, seeded = this.seeded): Promise<Response> {
    return fetch(`${baseUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${seeded.apiKey}` },
      body: JSON.stringify({
        model: seeded.model,
        messages: [{ role: 'user', content: 'hello' }],
        ...body,
      }),
    });
  }

  /**
   * The checkpoints of an account's open holds, by request; null where nothing was delivered yet. Those in Postgres too where the store is
   * Redis: whoever waits for Redis in vain holds there.
   */
  async holdsOf(seeded: SeededInstallation): Promise<Map<string, unknown>> {
    const inPockets = this.store === 'redis' ? await this.pocketHoldsOf(seeded) : [];
    const { rows } = await this.owner.query<{ id: string; checkpoint: unknown }>(
      "SELECT id, checkpoint FROM tollgate.reservation WHERE account_id = $1 AND kind = 'request' AND state = 'open'",
      [seeded.accountId],
    );
    return new Map([...rows.map(({ id, checkpoint }) => [id, checkpoint] as const), ...inPockets]);
  }

  /** Of these, the ones in Redis. */
  async pocketHoldsOf({ accountId }: SeededInstallation): Promise<Map<string, unknown>> {
    const holds = await this.pockets.hgetall(pocketKeys(accountId).holds);
    return new Map(
      Object.entries(holds).map(([id, hold]) => {
        const [, , ...json] = hold.split('|');
        return [id, json.join('|') === '' ? null : JSON.parse(json.join('|'))];
      }),
    );
  }

  async bookedOf(requestId: string): Promise<BookedRequest> {
    const records = await this.owner.query<{ swept: boolean }>(
      'SELECT swept FROM tollgate.usage_record WHERE request_id = $1 ORDER BY swept',
      [requestId],
    );
    const transfers = await this.owner.query<{ line: string }>(
      "SELECT kind || ' ' || amount AS line FROM tollgate.transfer WHERE ref_id = $1 ORDER BY id",
      [requestId],
    );
    return {
      records: records.rows.map(({ swept }) => (swept ? 'swept' : 'true')),
      transfers: transfers.rows.map(({ line }) => line),
    };
  }

  /** Nano-credits that an account has paid for usage, of which reversals are given back. */
  async paidBy({ accountId }: SeededInstallation): Promise<bigint> {
    const { rows } = await this.owner.query<{ paid: string }>(
      `SELECT COALESCE(sum(CASE kind WHEN 'reversal' THEN -amount ELSE amount END), 0)::text AS paid
         FROM tollgate.transfer WHERE account_id = $1 AND kind IN ('usage', 'swept', 'reversal')`,
      [accountId],
    );
    return BigInt(rows[0]?.paid ?? '0');
  }

  async expectSoundBooks(): Promise<void> {
    const { rows } = await this.owner.query('SELECT * FROM tollgate.ledger_violation');
    expect(rows).toEqual([]);
  }

  private run(file: string, environment: Record<string, string>): SourceProcess {
    const started = SourceProcess.start(file, {
      environment: { DATABASE_URL: this.database.appUrl, PORT: '0', TIME_SCALE, ...environment },
    });
    this.processes.push(started);
    return started;
  }
}

/** The UUID of the request that an answer is for. */
export function requestIdOf(response: Response): string {
  const id = response.headers.get('x-request-id') ?? '';
  return id.replace(/^req_(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** A way to a server on which what it answers can be lost, while all that it is asked arrives. */
export class LossyWay {
  private isLosing = false;
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly server: Server) {}

  static async to(target: string): Promise<LossyWay> {
    const { hostname, port } = new URL(target);
    const server = createServer();
    const way = new LossyWay(server);
    server.on('connection', (near) => way.join(near, connect(Number(port), hostname)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return way;
  }

  get redisUrl(): string {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('the way is closed');
    return `redis://127.0.0.1:${String(address.port)}`;
  }

  loseAnswers(): void {
    this.isLosing = true;
  }

  /** What was lost stays lost: connections begin anew. */
  heal(): void {
    this.isLosing = false;
    for (const socket of this.sockets) socket.destroy();
  }

  close(): void {
    this.server.close();
    this.heal();
  }

  private join(near: Socket, far: Socket): void {
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        this.sockets.delete(socket);
        other.destroy();
      });
    }
    near.on('data', (bytes) => far.write(bytes));
    far.on('data', (bytes) => {
      if (!this.isLosing) near.write(bytes);
    });
  }
}
