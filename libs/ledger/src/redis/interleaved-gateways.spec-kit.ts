import type { UsageEvent } from '@tollgate/contracts';
import { v7 as uuidv7 } from 'uuid';
import { adjust } from '../adjust.js';
import { CostCheck } from '../cost-check.js';
import type { EscrowGrant, EscrowLedger } from '../escrow-ledger.js';
import { takingBack, type PocketRest } from '../escrow-return.js';
import {
  HoldStoreUnavailableError,
  type HoldRequest,
  type HoldResult,
  type TouchOutcome,
  type TouchedHold,
} from '../hold-store.js';
import { usageEvent } from '../ledger.spec-kit.js';
import { settleBatch, type Settlement } from '../settle-batch.js';
import { settleSwept, type OverdueHold } from '../settle-swept.js';
import type { Row, Sql } from '../sql.js';
import type { HoldRedis } from './hold-redis.js';
import { RedisHoldStore } from './redis-hold-store.js';
import { RedisPockets, type PocketHold, type PocketHoldRequest, type ShortPocket } from './redis-pockets.js';
import type { RedisBench } from './redis.spec-kit.js';
import type { Turns } from './turns.spec-kit.js';

/** How a request ends: as usual; without a word, so that it is swept; or without a word until it was swept, or nearly. */
export type Ending = 'ends' | 'ends twice' | 'dies' | 'dies and wakes';

/** A request as its gateway and the sweeper live it. Amounts in nano-credits. */
export interface RequestScript {
  readonly gateway: number;
  readonly account: number;
  readonly totalNano: bigint;
  /** What it had delivered at each touch, in per cent of its hold. */
  readonly touches: readonly number[];
  /** What it costs in the end, in per cent of its hold. */
  readonly percent: number;
  readonly ending: Ending;
  readonly closesFirst: boolean;
}

/** What was asked of the account beside its requests, and what it cost. Nano-credits. */
export interface Sums {
  paidInNano: bigint;
  costNano: bigint;
  absorbedNano: bigint;
  /**
   * By how much the guesses at requests that were swept and ended at the same time were off. What they cost beyond the guess was free by
   * then, and others had it; where the guess was more, it took what the end of the request had made free.
   */
  misjudgedNano: bigint;
}

class PocketsInTurns extends RedisPockets {
  constructor(
    redis: HoldRedis,
    private readonly turns: Turns,
  ) {
    super(redis);
  }

  override hold(request: PocketHoldRequest): Promise<PocketHold | ShortPocket> {
    return this.turns.run('hold', () => super.hold(request));
  }

  override touch(touched: readonly TouchedHold[], ttlSeconds: number): Promise<Map<string, TouchOutcome>> {
    return this.turns.run('touch', () => super.touch(touched, ttlSeconds));
  }

  override close(requestId: string, accountId: string, costNano: bigint): Promise<boolean> {
    return this.turns.run('close', () => super.close(requestId, accountId, costNano));
  }

  override grant(...grant: Parameters<RedisPockets['grant']>): Promise<boolean> {
    return this.turns.run('grant in Redis', () => super.grant(...grant));
  }

  override shut(accountId: string, escrowId: string): Promise<PocketRest> {
    return this.turns.run('shut in Redis', () => super.shut(accountId, escrowId));
  }
}

class EscrowsInTurns implements EscrowLedger {
  constructor(
    private readonly ledger: EscrowLedger,
    private readonly turns: Turns,
  ) {}

  grant(accountId: string, escrowId: string, totalNano: bigint): Promise<EscrowGrant> {
    return this.turns.run('grant', () => this.ledger.grant(accountId, escrowId, totalNano));
  }

  wanted(accountId: string): Promise<void> {
    return this.turns.run('wanted', () => this.ledger.wanted(accountId));
  }

  shut(escrowId: string, rest: PocketRest): Promise<void> {
    return this.turns.run('shut', () => this.ledger.shut(escrowId, rest));
  }

  setAside(accountId: string): Promise<bigint> {
    return this.turns.run('set aside', () => this.ledger.setAside(accountId));
  }
}

/** Gateways, billing and operators on the same accounts, whose every step waits for its turn. */
export class InterleavedGateways {
  readonly accounts: { readonly id: string; readonly sums: Sums }[] = [];
  private readonly gateways: readonly { readonly pockets: RedisPockets; readonly store: RedisHoldStore }[];
  private readonly ledger: EscrowLedger;
  private readonly sql: Sql;
  private readonly costs = new CostCheck();

  /** `priceId`: a price of one nano-credit for a unit of input. */
  constructor(
    private readonly redis: RedisBench,
    clients: readonly HoldRedis[],
    private readonly turns: Turns,
    private readonly priceId: string,
  ) {
    this.ledger = new EscrowsInTurns(redis.ledger, turns);
    this.sql = (text, params) => turns.run('SQL', () => redis.bench.sql(text, params));
    this.gateways = clients.map((client) => {
      const pockets = new PocketsInTurns(client, turns);
      return { pockets, store: new RedisHoldStore(pockets, this.ledger) };
    });
  }

  async open(balances: readonly bigint[]): Promise<void> {
    for (const paidInNano of balances) {
      const id = await this.redis.bench.newAccount(paidInNano, -7n);
      this.accounts.push({ id, sums: { paidInNano, costNano: 0n, absorbedNano: 0n, misjudgedNano: 0n } });
    }
  }

  /** From its hold to its settling, by whomever. */
  async request(script: RequestScript): Promise<void> {
    const { id: accountId } = this.account(script.account);
    const { store } = this.gateway(script.gateway);
    const ask = { requestId: uuidv7(), accountId, totalNano: script.totalNano, leastNano: 0n };
    const held = await holdOn(store, ask);
    if (held === null) return;
    const hold = { ...ask, escrowId: held.escrowId, totalNano: held.grantedNano };
    const checkpoint = await this.runOn(store, script.touches, hold);
    const event = this.usage(accountId, percentOf(hold.totalNano, script.percent), {
      requestId: ask.requestId,
      ...(hold.escrowId !== null && { escrowId: hold.escrowId }),
    });
    const end = (): Promise<void> => this.end(script, event);
    const sweep = (): Promise<bigint> => this.sweep({ ...hold, checkpoint }, script);
    if (script.ending === 'ends' || script.ending === 'ends twice') await end();
    if (script.ending === 'ends twice') await this.settle(script.account, event);
    if (script.ending === 'dies') await sweep();
    if (script.ending === 'dies and wakes') {
      const [closedNano] = await Promise.all([sweep(), end()]);
      const offNano = BigInt(event.costNano) - closedNano;
      this.account(script.account).sums.misjudgedNano += offNano < 0n ? -offNano : offNano;
    }
  }

  /** Money comes in, or goes out as an operator takes it: out of escrows too, where it has to. */
  async adjust(account: number, amountNano: bigint): Promise<void> {
    const { id: accountId, sums } = this.account(account);
    const adjustment = { kind: 'adjustment', refId: uuidv7(), accountId, amountNano } as const;
    const booking = await takingBack({
      sql: this.sql,
      pockets: this.gateway(0).pockets,
      accountId,
      book: (release) =>
        this.turns.run('book', () =>
          this.transaction(async (sql) => {
            await release(sql);
            return adjust(sql, adjustment);
          }),
        ),
      isShort: ({ outcome }) => outcome === 'would_break_floor',
    });
    if (booking.outcome === 'booked') sums.paidInNano += amountNano;
    for (const { store } of this.gateways) store.forgetEmpty();
  }

  async setStatus(account: number, status: 'active' | 'suspended'): Promise<void> {
    await this.sql('UPDATE tollgate.account SET status = $2 WHERE id = $1', [
      this.account(account).id,
      status,
    ]);
  }

  /** Billing takes the account's escrows back, as far as it can before two minutes are over. */
  async callBack(account: number): Promise<void> {
    const { id } = this.account(account);
    await this.ledger.wanted(id);
    for (const escrow of await this.turns.run('due', () => this.redis.escrows(id))) {
      if (escrow.state !== 'closing') continue;
      await this.ledger.shut(escrow.id, await this.gateway(0).pockets.shut(id, escrow.id));
    }
  }

  /** Everything is over, and two minutes pass. */
  async drain(): Promise<void> {
    await Promise.all(this.gateways.map(({ store }) => store.shutdown()));
    for (const [account] of this.accounts.entries()) await this.callBack(account);
    for (const { id } of this.accounts) await this.turns.run('finish', () => this.redis.finishEscrows(id));
  }

  /** Touches with what was delivered, and holds again what the store has lost; answers the last checkpoint. */
  private async runOn(
    store: RedisHoldStore,
    touches: readonly number[],
    hold: { requestId: string; accountId: string; totalNano: bigint; escrowId: string | null },
  ): Promise<UsageEvent | null> {
    let checkpoint: UsageEvent | null = null;
    for (const percent of touches) {
      const { requestId, accountId, totalNano } = hold;
      checkpoint = this.usage(accountId, percentOf(totalNano, percent), { requestId, swept: true });
      const outcomes = await store.touch([{ requestId, accountId, checkpoint }]);
      if (outcomes.get(requestId) === 'open') continue;
      const again = await holdOn(store, { requestId, accountId, totalNano });
      // What cannot be held again has nobody's money any more, and ends with what it had.
      if (again === null) break;
      hold.escrowId = again.escrowId;
    }
    return checkpoint;
  }

  private async end({ account, gateway, closesFirst }: RequestScript, event: UsageEvent): Promise<void> {
    const { store } = this.gateway(gateway);
    const steps = [
      () => this.settle(account, event),
      () => store.close(event.requestId, event.accountId, BigInt(event.costNano)),
    ];
    if (closesFirst) steps.reverse();
    for (const step of steps) await step();
  }

  /** Answers with what it closed the hold, in nano-credits. */
  private async sweep(hold: OverdueHold, { account, gateway }: RequestScript): Promise<bigint> {
    const [swept] = await settleSwept(this.sql, this.costs, [hold]);
    if (swept === undefined) throw new Error('each hold is answered');
    if (swept.settlement !== null) this.count(account, swept.settlement);
    await this.gateway(gateway).pockets.close(hold.requestId, hold.accountId, swept.costNano);
    return swept.costNano;
  }

  private async settle(account: number, event: UsageEvent): Promise<void> {
    const [settlement] = await settleBatch(this.sql, [event]);
    if (settlement === undefined) throw new Error('each event is answered');
    this.count(account, settlement);
    const trueNano = settlement.chargedNano + settlement.absorbedNano;
    if (settlement.outcome === 'settled' && trueNano !== BigInt(event.costNano)) {
      throw new Error(`${event.costNano} were settled as ${String(trueNano)}`);
    }
  }

  private count(
    account: number,
    { chargedNano, absorbedNano, reversedNano = 0n, ...rest }: Settlement,
  ): void {
    if (rest.outcome === 'quarantined') throw new Error(`an event was quarantined: ${String(rest.reason)}`);
    const { sums } = this.account(account);
    sums.costNano += chargedNano + absorbedNano - reversedNano;
    sums.absorbedNano += absorbedNano;
  }

  /** One unit of input costs one nano-credit. */
  private usage(accountId: string, costNano: bigint, changes: Partial<UsageEvent>): UsageEvent {
    return usageEvent(accountId, costNano, {
      priceId: this.priceId,
      units: { input: Number(costNano) },
      ...changes,
    });
  }

  private async transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    const client = await this.redis.bench.app.connect();
    try {
      await client.query('BEGIN');
      const result = await work(async (text, params) => (await client.query<Row>(text, params)).rows);
      await client.query('COMMIT');
      return result;
    } finally {
      client.release();
    }
  }

  private account(index: number): { readonly id: string; readonly sums: Sums } {
    const account = this.accounts[index];
    if (account === undefined) throw new Error(`no account ${String(index)}`);
    return account;
  }

  private gateway(index: number): { readonly pockets: RedisPockets; readonly store: RedisHoldStore } {
    const gateway = this.gateways[index];
    if (gateway === undefined) throw new Error(`no gateway ${String(index)}`);
    return gateway;
  }
}

/** Null where it is refused, or where the store gives up: a Redis that begins anew again and again outlasts its patience. */
async function holdOn(
  store: RedisHoldStore,
  request: HoldRequest,
): Promise<Extract<HoldResult, { outcome: 'held' }> | null> {
  try {
    const result = await store.hold(request);
    return result.outcome === 'held' ? result : null;
  } catch (error) {
    if (error instanceof HoldStoreUnavailableError) return null;
    throw error;
  }
}

function percentOf(totalNano: bigint, percent: number): bigint {
  return (totalNano * BigInt(percent)) / 100n;
}
