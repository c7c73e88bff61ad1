import { v7 as uuidv7 } from 'uuid';
import { adjust } from '../adjust.js';
import type { HoldResult } from '../hold-store.js';
import { usageEvent } from '../ledger.spec-kit.js';
import { PostgresHoldStore } from '../postgres-hold-store.js';
import { settleBatch } from '../settle-batch.js';
import { readText } from '../sql.js';
import { RedisAwayError, type HoldRedis } from './hold-redis.js';
import { RedisHoldStore } from './redis-hold-store.js';
import { RedisPockets } from './redis-pockets.js';
import type { RedisBench } from './redis.spec-kit.js';

/** Pockets whose next grant may be lost on its way to Redis, and come late. */
export class UnluckyPockets extends RedisPockets {
  losesNextGrant = false;
  private readonly late: Parameters<RedisPockets['grant']>[] = [];

  override grant(...grant: Parameters<RedisPockets['grant']>): Promise<boolean> {
    if (!this.losesNextGrant) return super.grant(...grant);
    this.losesNextGrant = false;
    this.late.push(grant);
    return Promise.reject(new RedisAwayError('the grant was lost'));
  }

  async deliverLate(): Promise<void> {
    for (const grant of this.late.splice(0)) await super.grant(...grant);
  }
}

interface Request {
  /** Its id in the world under test, and in the oracle's. */
  readonly id: string;
  readonly oracleId: string;
  readonly account: number;
  readonly gateway: number;
  grantedNano: bigint;
  escrowId: string | null;
  isOver: boolean;
}

interface Owed {
  readonly request: Request;
  readonly costNano: bigint;
}

/** An answer that the oracle contradicts. */
export class ContradictionError extends Error {}

/**
 * Two worlds that live through the same: holds in Redis, whose data may be lost, and the oracle: holds in Postgres, where
 * nothing is. What Redis grants the oracle has to be able to grant too, or money was spent twice; what Redis refuses the oracle
 * has to refuse too, or it was a false refusal.
 */
export class HoldWorlds {
  readonly counts = { held: 0, refused: 0, set_aside: 0, settled: 0, unavailable: 0, withdrawn: 0 };
  readonly gateways: readonly { readonly pockets: UnluckyPockets; readonly store: RedisHoldStore }[];
  private readonly oracle: PostgresHoldStore;
  private readonly accounts: { readonly id: string; readonly oracleId: string }[] = [];
  private readonly requests = new Map<number, Request>();
  private owed: Owed[] = [];
  private nextRequest = 0;

  constructor(
    private readonly redis: RedisBench,
    clients: readonly HoldRedis[],
  ) {
    this.gateways = clients.map((client) => {
      const pockets = new UnluckyPockets(client);
      return { pockets, store: new RedisHoldStore(pockets, redis.ledger) };
    });
    this.oracle = new PostgresHoldStore(redis.bench.app);
  }

  async open(balances: readonly bigint[]): Promise<void> {
    for (const balance of balances) {
      const { bench } = this.redis;
      this.accounts.push({
        id: await bench.newAccount(balance, -7n),
        oracleId: await bench.newAccount(balance, -7n),
      });
    }
  }

  async begin(ask: {
    account: number;
    gateway: number;
    totalNano: bigint;
    leastNano: bigint;
  }): Promise<void> {
    const request: Request = {
      id: uuidv7(),
      oracleId: uuidv7(),
      account: ask.account,
      gateway: ask.gateway,
      grantedNano: 0n,
      escrowId: null,
      isOver: false,
    };
    const result = await this.hold(request, ask.totalNano, ask.leastNano);
    if (result?.outcome === 'held') this.requests.set(this.nextRequest++, request);
  }

  async extend(index: number, byNano: bigint): Promise<void> {
    const request = this.running(index);
    if (request !== null) {
      await this.hold(request, request.grantedNano + byNano, request.grantedNano + byNano);
    }
  }

  async touch(index: number): Promise<void> {
    const request = this.running(index);
    if (request !== null) await this.renew(request);
  }

  /** The request ends at a cost within its hold. Its usage event is settled later. */
  async end(index: number, percent: number): Promise<void> {
    const request = this.running(index);
    if (request !== null) await this.finish(request, (request.grantedNano * BigInt(percent)) / 100n);
  }

  async settle(): Promise<void> {
    for (const { request, costNano } of this.owed.splice(0)) {
      const { id, oracleId, escrowId } = request;
      const account = this.account(request);
      const real = usageEvent(account.id, costNano, {
        requestId: id,
        ...(escrowId !== null && { escrowId }),
      });
      const ideal = usageEvent(account.oracleId, costNano, { requestId: oracleId });
      for (const settlement of await settleBatch(this.redis.bench.sql, [real, ideal])) {
        if (settlement.absorbedNano > 0n) {
          throw new ContradictionError(`${settlement.absorbedNano} were absorbed`);
        }
      }
    }
  }

  async topUp(account: number, amountNano: bigint): Promise<void> {
    const { id, oracleId } = this.accountAt(account);
    for (const accountId of [id, oracleId]) await this.redis.bench.topUp(accountId, amountNano);
    this.forgetEmpty();
  }

  /** As an operator does it: the pocket is shut and what it has left booked in one transaction. */
  async withdraw(account: number, amountNano: bigint): Promise<void> {
    const { id, oracleId } = this.accountAt(account);
    const { sql } = this.redis.bench;
    await this.redis.ledger.wanted(id);
    const escrow = (await this.redis.escrows(id)).find(({ state }) => state === 'closing')?.id ?? null;
    const left = escrow === null ? null : await this.anyPockets().shut(id, escrow);
    const [row] = await sql(
      'SELECT outcome FROM tollgate.adjust_with_shut($1, $2, $3, $4, $5, $6, $7, $8, $9)',
      [
        'adjustment',
        uuidv7(),
        id,
        (-amountNano).toString(),
        null,
        null,
        escrow,
        left?.spentNano.toString() ?? null,
        left?.heldNano.toString() ?? null,
      ],
    );
    this.forgetEmpty();
    if (row === undefined || readText(row, 'outcome') !== 'booked') return;
    this.counts.withdrawn += 1;
    const booking = {
      kind: 'adjustment',
      refId: uuidv7(),
      accountId: oracleId,
      amountNano: -amountNano,
    } as const;
    const { outcome } = await adjust(sql, booking);
    if (outcome !== 'booked') {
      throw new ContradictionError(`withdrew ${amountNano} that the oracle says ${outcome} of`);
    }
  }

  /** Billing takes the account's escrow back, without waiting for the rest of it. */
  async callBack(account: number): Promise<void> {
    const { id } = this.accountAt(account);
    await this.redis.ledger.wanted(id);
    for (const escrow of await this.redis.escrows(id)) {
      if (escrow.state !== 'closing') continue;
      await this.redis.ledger.shut(escrow.id, await this.anyPockets().shut(id, escrow.id));
    }
    this.forgetEmpty();
  }

  /**
   * Two minutes: what runs is renewed before, or ends; what ended is settled; then what is left of closed escrows is free.
   */
  async wait(): Promise<void> {
    for (const request of this.requests.values()) {
      if (!request.isOver && !(await this.renew(request))) await this.finish(request, request.grantedNano);
    }
    await this.settle();
    for (const { id } of this.accounts) await this.redis.finishEscrows(id);
    this.forgetEmpty();
  }

  /** Everything ends and returns. */
  async drain(): Promise<void> {
    for (const { pockets } of this.gateways) await pockets.deliverLate();
    for (const request of this.requests.values()) {
      if (!request.isOver) await this.finish(request, request.grantedNano / 2n);
    }
    await this.settle();
    for (const { store } of this.gateways) await store.shutdown();
    for (const [index] of this.accounts.entries()) await this.callBack(index);
    for (const { id } of this.accounts) await this.redis.finishEscrows(id);
  }

  /** What both worlds have in the end, for each account. */
  async balances() {
    const { bench } = this.redis;
    return Promise.all(
      this.accounts.map(async ({ id, oracleId }) => {
        const [real, ideal] = [await bench.account(id), await bench.account(oracleId)];
        return {
          real: { posted: real.posted, held: real.held },
          ideal: { posted: ideal.posted, held: ideal.held },
        };
      }),
    );
  }

  private async hold(request: Request, totalNano: bigint, leastNano: bigint): Promise<HoldResult | null> {
    const account = this.account(request);
    const { store } = this.gateways[request.gateway] ?? this.gatewayAt(0);
    const ask = { requestId: request.id, accountId: account.id, totalNano, leastNano };
    const result = await store.hold(ask).catch((error: unknown) => {
      if (error instanceof RedisAwayError) return null;
      throw error;
    });
    this.counts[result?.outcome ?? 'unavailable'] += 1;
    const inOracle = { requestId: request.oracleId, accountId: account.oracleId };
    if (result?.outcome === 'held') {
      const ideal = await this.oracle.hold({ ...inOracle, totalNano: result.grantedNano });
      if (ideal.outcome !== 'held') {
        throw new ContradictionError(`held ${result.grantedNano}: the oracle has not so much`);
      }
      Object.assign(request, { grantedNano: result.grantedNano, escrowId: result.escrowId });
    }
    if (result?.outcome === 'refused') {
      const ideal = await this.oracle.hold({ ...inOracle, totalNano, leastNano });
      if (ideal.outcome !== 'refused') {
        throw new ContradictionError(`refused ${leastNano} that the oracle ${ideal.outcome}`);
      }
    }
    return result;
  }

  /** Answers false where the request cannot go on. */
  private async renew(request: Request): Promise<boolean> {
    const { store } = this.gatewayAt(request.gateway);
    const accountId = this.account(request).id;
    const outcomes = await store.touch([{ requestId: request.id, accountId, checkpoint: null }]);
    if (outcomes.get(request.id) === 'open') return true;
    return (await this.hold(request, request.grantedNano, request.grantedNano))?.outcome === 'held';
  }

  private async finish(request: Request, costNano: bigint): Promise<void> {
    request.isOver = true;
    const { id, oracleId } = this.account(request);
    await this.gatewayAt(request.gateway).store.close(request.id, id, costNano);
    await this.oracle.close(request.oracleId, oracleId, costNano);
    this.owed.push({ request, costNano });
  }

  private forgetEmpty(): void {
    for (const { store } of this.gateways) store.forgetEmpty();
  }

  private running(index: number): Request | null {
    const request = this.requests.get(this.nextRequest === 0 ? 0 : index % this.nextRequest);
    return request === undefined || request.isOver ? null : request;
  }

  private account(request: Request): { id: string; oracleId: string } {
    return this.accountAt(request.account);
  }

  private accountAt(index: number): { id: string; oracleId: string } {
    const account = this.accounts[index];
    if (account === undefined) throw new Error(`no account ${String(index)}`);
    return account;
  }

  private gatewayAt(index: number): { pockets: UnluckyPockets; store: RedisHoldStore } {
    const gateway = this.gateways[index];
    if (gateway === undefined) throw new Error(`no gateway ${String(index)}`);
    return gateway;
  }

  private anyPockets(): RedisPockets {
    return this.gatewayAt(0).pockets;
  }
}
