import { setTimeout as delay } from 'node:timers/promises';
import type { UsageEvent } from '@tollgate/contracts';
import { v7 as uuidv7 } from 'uuid';
import type { HoldResult, HoldStore } from '../hold-store.js';
import { usageEvent, type LedgerBench } from '../ledger.spec-kit.js';
import { settleBatch } from '../settle-batch.js';

interface Running {
  readonly requestId: string;
  readonly accountId: string;
  readonly store: HoldStore;
  totalNano: bigint;
  escrowId: string | null;
}

/**
 * Requests as gateways run them: hold, extend, renew, hold again what was lost, settle at a cost within the hold, close.
 * What a store cannot decide is a request less, as with a 503.
 */
export class HoldTraffic {
  readonly outcomes = { held: 0, refused: 0, set_aside: 0, settled: 0, unavailable: 0, heldAgain: 0 };
  /** What all requests so far cost, by account, in nano-credits. */
  readonly spentNano = new Map<string, bigint>();
  absorbedNano = 0n;

  constructor(
    private readonly bench: LedgerBench,
    private readonly stores: readonly HoldStore[],
    private readonly accounts: readonly string[],
  ) {}

  /** So many callers, one request after the other, until told to stop. */
  async run(callers: number, isOver: () => boolean): Promise<void> {
    const call = async (): Promise<void> => {
      while (!isOver()) await this.request();
    };
    await Promise.all(Array.from({ length: callers }, call));
  }

  async request(): Promise<void> {
    const running = await this.begin();
    // A client that is refused comes back after a while; without this, Redis being away would leave no time for anything else.
    if (running === null) return void (await delay(5));
    for (let beat = random(4); beat > 0; beat -= 1) {
      await delay(random(8));
      if (random(2) === 0) await this.extend(running);
      if (!(await this.renew(running))) break;
    }
    await this.end(running);
  }

  private async begin(): Promise<Running | null> {
    const accountId = pick(this.accounts);
    const running: Running = {
      requestId: uuidv7(),
      accountId,
      store: pick(this.stores),
      totalNano: 0n,
      escrowId: null,
    };
    const result = await this.hold(running, BigInt(1 + random(30)));
    this.outcomes[result?.outcome ?? 'unavailable'] += 1;
    return result?.outcome === 'held' ? running : null;
  }

  private async extend(running: Running): Promise<void> {
    await this.hold(running, running.totalNano + BigInt(random(10)));
  }

  /** Answers false where the request has to end: its money is set aside nowhere. */
  private async renew(running: Running): Promise<boolean> {
    const { requestId, accountId, store } = running;
    const checkpoint = usageEvent(accountId, 0n, { requestId, swept: true });
    const outcomes = await store.touch([{ requestId, accountId, checkpoint }]).catch(() => null);
    if (outcomes === null || outcomes.get(requestId) === 'open') return true;
    const again = await this.hold(running, running.totalNano);
    if (again?.outcome === 'held') this.outcomes.heldAgain += 1;
    return again?.outcome === 'held';
  }

  private async end(running: Running): Promise<void> {
    const { requestId, accountId, store, totalNano, escrowId } = running;
    const costNano = BigInt(random(Number(totalNano) + 1));
    const event = usageEvent(accountId, costNano, { requestId, ...(escrowId !== null && { escrowId }) });
    const steps = [
      () => this.settle(event),
      () => store.close(requestId, accountId, costNano).catch(() => undefined),
    ];
    if (random(2) === 0) steps.reverse();
    for (const step of steps) await step();
    this.spentNano.set(accountId, (this.spentNano.get(accountId) ?? 0n) + costNano);
  }

  private async settle(event: UsageEvent): Promise<void> {
    for (const { absorbedNano } of await settleBatch(this.bench.sql, [event])) {
      this.absorbedNano += absorbedNano;
    }
  }

  private async hold(running: Running, totalNano: bigint): Promise<HoldResult | null> {
    const { requestId, accountId, store } = running;
    const result = await store.hold({ requestId, accountId, totalNano }).catch(() => null);
    if (result?.outcome === 'held') {
      Object.assign(running, { totalNano: result.grantedNano, escrowId: result.escrowId });
    }
    return result;
  }
}

function random(below: number): number {
  return Math.floor(Math.random() * below);
}

function pick<T>(from: readonly T[]): T {
  const picked = from[random(from.length)];
  if (picked === undefined) throw new Error('nothing to pick from');
  return picked;
}
