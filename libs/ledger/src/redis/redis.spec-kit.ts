import { startRedis, type TestRedis } from '@tollgate/testing';
import type { Redis } from 'ioredis';
import { PostgresEscrowLedger, type EscrowLedger } from '../escrow-ledger.js';
import type { LedgerBench } from '../ledger.spec-kit.js';
import { PostgresHoldStore } from '../postgres-hold-store.js';
import { readBigint, readText } from '../sql.js';
import { FailoverHoldStore } from './failover-hold-store.js';
import { connectHoldRedis } from './hold-redis.js';
import { pocketKeys } from './pocket-keys.js';
import { RedisHoldStore } from './redis-hold-store.js';
import { RedisPockets } from './redis-pockets.js';

/** One escrow as Postgres has it. */
export interface EscrowState {
  readonly id: string;
  readonly state: string;
  readonly granted: bigint;
  readonly used: bigint;
  readonly released: bigint;
}

const PATIENT_MS = 10_000;

/** A Redis for holds, and gateways on it. */
export class RedisBench {
  private readonly clients: Redis[] = [];

  private constructor(
    readonly server: TestRedis,
    readonly bench: LedgerBench,
  ) {}

  static async start(bench: LedgerBench, settings: readonly string[] = []): Promise<RedisBench> {
    return new RedisBench(await startRedis(settings), bench);
  }

  /** A connection that is ready. It waits for a slow machine, unless how long Redis may be silent is what a test is about. */
  async connect(answerMaxMs = PATIENT_MS): Promise<Redis> {
    const client = connectHoldRedis(this.server.url, answerMaxMs);
    this.clients.push(client);
    // What it tries in vain while the server is down concerns no test.
    client.on('error', () => undefined);
    await whenReady(client);
    return client;
  }

  get ledger(): EscrowLedger {
    return new PostgresEscrowLedger(this.bench.sql);
  }

  newStore(client: Redis, ledger: EscrowLedger = this.ledger): RedisHoldStore {
    return new RedisHoldStore(new RedisPockets(client), ledger);
  }

  newFailover(client: Redis, onSwitch?: (store: 'redis' | 'postgres') => void): FailoverHoldStore {
    const pockets = new RedisPockets(client);
    return new FailoverHoldStore({
      redis: new RedisHoldStore(pockets, this.ledger),
      postgres: new PostgresHoldStore(this.bench.app),
      ledger: this.ledger,
      probe: () => pockets.probe(),
      ...(onSwitch !== undefined && { onSwitch }),
    });
  }

  /** The account's escrows, oldest first. */
  async escrows(accountId: string): Promise<EscrowState[]> {
    const rows = await this.bench.sql(
      `SELECT id, state, granted, used, released FROM tollgate.reservation
        WHERE account_id = $1 AND kind = 'escrow' ORDER BY created_at, id`,
      [accountId],
    );
    return rows.map((row) => ({
      id: readText(row, 'id'),
      state: readText(row, 'state'),
      granted: readBigint(row, 'granted'),
      used: readBigint(row, 'used'),
      released: readBigint(row, 'released'),
    }));
  }

  /** As billing does it: every escrow is set closing, its pocket shut, and two minutes pass. */
  async returnEscrows(client: Redis, accountId: string): Promise<void> {
    const pockets = new RedisPockets(client);
    await this.ledger.wanted(accountId);
    for (const { id, state } of await this.escrows(accountId)) {
      if (state === 'closing') await this.ledger.shut(id, await pockets.shut(accountId, id));
    }
    await this.finishEscrows(accountId);
  }

  /** Two minutes pass for the escrows whose pockets were shut. */
  async finishEscrows(accountId: string): Promise<void> {
    await this.bench.owner.query(
      `UPDATE tollgate.reservation SET shut_at = now() - interval '121 s'
        WHERE account_id = $1 AND kind = 'escrow' AND state = 'closing' AND shut_at IS NOT NULL`,
      [accountId],
    );
    await this.bench.sql('SELECT * FROM tollgate.finish_escrows(now(), 1000)');
  }

  /** A pocket as Redis has it. */
  async pocket(client: Redis, accountId: string): Promise<Record<string, string>> {
    return client.hgetall(pocketKeys(accountId).pocket);
  }

  async stop(): Promise<void> {
    for (const client of this.clients) client.disconnect();
    await this.server.remove();
  }
}

/** Resolves when a client may be used: also again after its server was away. */
export async function whenReady(client: Redis): Promise<void> {
  while (client.status !== 'ready') await new Promise((resolve) => setTimeout(resolve, 5));
}
