import { setTimeout as delay } from 'node:timers/promises';
import { MODELS, type ChaosAccount } from '../clients/accounts.js';
import type { SeededChoice } from '../seeded-choice.js';
import type { Operator, OperatorAnswer } from './operator.js';

/** One movement of money that an operator asked for. */
export interface MoneyOperation {
  readonly accountId: string;
  /** Signed from the account's side, in nano-credits. */
  readonly amountNano: bigint;
  readonly atMs: number;
  /** `unknown`: no definite answer came in all the time there was. */
  outcome: 'done' | 'refused' | 'unknown';
  transferId: string | null;
}

const INTERVAL_MS = 350;
const SUSPENDED_MS = 1_500;
const NANO_PER_CREDIT = 1_000_000_000n;

const KINDS = {
  'top up a tight account': 50,
  'withdraw from a tight account': 12,
  'withdraw from an ample account': 8,
  'move a floor': 10,
  'suspend and activate': 6,
  'change a price': 14,
};

/** An operator at work during the run: money comes and goes, floors move, accounts are suspended, prices change. */
export class MoneyOperations {
  readonly operations: MoneyOperation[] = [];
  /** How often each kind was done, refused or left without an answer. */
  readonly counts = new Map<string, number>();
  private isStopped = false;
  private loop: Promise<void> = Promise.resolve();
  private readonly running = new Set<Promise<void>>();
  private giveUpAtMs = Number.POSITIVE_INFINITY;

  constructor(
    private readonly operator: Operator,
    private readonly accounts: readonly ChaosAccount[],
    private readonly choice: SeededChoice,
  ) {}

  start(): void {
    this.loop = this.run();
  }

  /** Stops, and resolves when the last call has its answer; what has none by then stays unknown. */
  async stop(patienceMs: number): Promise<void> {
    this.isStopped = true;
    this.giveUpAtMs = Date.now() + patienceMs;
    await this.loop;
    await Promise.all(this.running);
  }

  private async run(): Promise<void> {
    while (!this.isStopped) {
      const done = this.one().finally(() => this.running.delete(done));
      this.running.add(done);
      await delay(INTERVAL_MS);
    }
  }

  private async one(): Promise<void> {
    const { choice } = this;
    const kind = choice.weighted(KINDS);
    const status = await this.carryOut(kind);
    const outcome = status === 0 ? 'unknown' : status < 300 ? 'done' : 'refused';
    this.counts.set(`${kind}: ${outcome}`, (this.counts.get(`${kind}: ${outcome}`) ?? 0) + 1);
  }

  private async carryOut(kind: keyof typeof KINDS): Promise<number> {
    switch (kind) {
      case 'top up a tight account':
        return this.move(this.oneOf('tight'), 'top-ups', BigInt(this.choice.between(200_000, 1_500_000)));
      case 'withdraw from a tight account':
        return this.move(this.oneOf('tight'), 'adjustments', -BigInt(this.choice.between(50_000, 500_000)));
      case 'withdraw from an ample account':
        return this.move(this.oneOf('ample'), 'adjustments', -BigInt(this.choice.between(1, 1_000_000_000)));
      case 'move a floor':
        return this.moveFloor(this.oneOf('credit line'));
      case 'suspend and activate':
        return this.suspend(this.oneOf('tight'));
      case 'change a price':
        return this.changePrice();
    }
  }

  private oneOf(means: ChaosAccount['means']): ChaosAccount {
    return this.choice.pick(this.accounts.filter((account) => account.means === means));
  }

  private async move(
    account: ChaosAccount,
    what: 'top-ups' | 'adjustments',
    amountNano: bigint,
  ): Promise<number> {
    const operation: MoneyOperation = {
      accountId: account.id,
      amountNano,
      atMs: Date.now(),
      outcome: 'unknown',
      transferId: null,
    };
    this.operations.push(operation);
    const amount = inCredits(amountNano);
    const body = what === 'top-ups' ? { amount } : { kind: 'adjustment', amount };
    const answer = await this.call('POST', `/accounts/${account.id}/${what}`, body);
    if (answer.status !== 0) operation.outcome = answer.status < 300 ? 'done' : 'refused';
    operation.transferId = answer.body?.transfer?.id ?? null;
    return answer.status;
  }

  private async moveFloor(account: ChaosAccount): Promise<number> {
    const floor = this.choice.pick(['-0.03', '-0.02', '-0.05', '0']);
    return (await this.call('PATCH', `/accounts/${account.id}`, { floor })).status;
  }

  private async suspend(account: ChaosAccount): Promise<number> {
    const suspended = await this.call('PATCH', `/accounts/${account.id}`, { status: 'suspended' });
    await delay(SUSPENDED_MS);
    await this.call('PATCH', `/accounts/${account.id}`, { status: 'active' });
    return suspended.status;
  }

  private async changePrice(): Promise<number> {
    const { model, inputRate, outputRate } = this.choice.pick(MODELS);
    const percent = this.choice.between(60, 170);
    const rates = { input: scaled(inputRate, percent), output: scaled(outputRate, percent) };
    const perRequest = this.choice.chance(0.5) ? '0.000001003' : '0';
    return (await this.call('POST', '/prices', { model, rates, perRequest })).status;
  }

  private call(method: string, path: string, body: unknown): Promise<OperatorAnswer> {
    return this.operator.call(method, path, { body, giveUpAtMs: () => this.giveUpAtMs });
  }
}

function inCredits(nano: bigint): string {
  const sign = nano < 0n ? '-' : '';
  const absolute = nano < 0n ? -nano : nano;
  const fraction = String(absolute % NANO_PER_CREDIT).padStart(9, '0');
  return `${sign}${absolute / NANO_PER_CREDIT}.${fraction}`;
}

/** A rate with six decimals at so many percent. */
function scaled(rate: string, percent: number): string {
  const [whole = '0', fraction = ''] = rate.split('.');
  const micro = (BigInt(whole + fraction.padEnd(6, '0')) * BigInt(percent)) / 100n;
  return `${micro / 1_000_000n}.${String(micro % 1_000_000n).padStart(6, '0')}`;
}
