/** What one step did, in the words of the ledger. */
export type StepResult = string;

interface ModelAccount {
  posted: bigint;
  readonly floor: bigint;
  seq: bigint;
}

interface ModelHold {
  readonly account: number;
  granted: bigint;
  state: 'open' | 'closing' | 'closed';
}

/**
 * What the ledger promises, as simply as it can be said: one request after the other, no batches, no locks. Holds are
 * summed up anew each time, so that nothing is shared with the way in which the database keeps its balances.
 */
export class LedgerModel {
  readonly accounts: ModelAccount[];
  private readonly holds = new Map<number, ModelHold>();
  private readonly records = new Map<number, { account: number; cost: bigint }>();
  private readonly references = new Map<number, { account: number; amount: bigint }>();
  absorbed = 0n;

  constructor(accounts: readonly { posted: bigint; floor: bigint }[]) {
    this.accounts = accounts.map(({ posted, floor }) => ({ posted, floor, seq: posted > 0n ? 1n : 0n }));
  }

  held(account: number): bigint {
    return [...this.holds.values()]
      .filter((hold) => hold.account === account)
      .reduce((sum, hold) => sum + hold.granted, 0n);
  }

  hold(ask: { request: number; account: number; total: bigint; least: bigint }): StepResult {
    const { request, account, total, least } = ask;
    const hold = this.holds.get(request);
    if (hold === undefined ? this.records.has(request) : hold.state !== 'open' || hold.account !== account) {
      return 'settled';
    }
    const has = hold?.granted ?? 0n;
    const available = this.available(account);
    const gets = min(max(total, has), has + available);
    if (gets < min(least, total)) return `refused ${available}`;
    this.holds.set(request, { account, granted: gets, state: 'open' });
    return `held ${gets}`;
  }

  touch(request: number): StepResult {
    return this.holds.get(request)?.state === 'open' ? 'open' : 'gone';
  }

  close(request: number, cost: bigint): void {
    const hold = this.holds.get(request);
    if (hold?.state !== 'open') return;
    hold.granted = min(hold.granted, cost);
    hold.state = hold.granted === 0n ? 'closed' : 'closing';
  }

  settle(request: number, account: number, cost: bigint): StepResult {
    const known = this.records.get(request);
    if (known !== undefined) {
      return known.account === account && known.cost === cost ? 'known' : 'quarantined other_content';
    }
    const hold = this.holds.get(request);
    if (hold !== undefined && hold.account !== account) return 'quarantined request_of_another_account';
    this.records.set(request, { account, cost });
    const own = hold?.granted ?? 0n;
    if (hold !== undefined) Object.assign(hold, { granted: 0n, state: 'closed' });
    // With its own hold gone, all that is not held by others can be drawn on; what exceeds the hold comes from there too.
    const charged = min(cost, min(cost, own) + (this.available(account) - min(cost, own)));
    const payer = this.account(account);
    payer.posted -= charged;
    if (charged > 0n) payer.seq += 1n;
    this.absorbed += cost - charged;
    return `settled ${charged} ${cost - charged}`;
  }

  expire(requests: readonly number[]): void {
    for (const request of requests) {
      const hold = this.holds.get(request);
      if (hold?.state === 'open') Object.assign(hold, { granted: 0n, state: 'closed' });
    }
  }

  adjust(reference: number, account: number, amount: bigint): StepResult {
    const known = this.references.get(reference);
    if (known !== undefined) {
      return known.account === account && known.amount === amount ? 'again' : 'conflict';
    }
    if (amount === 0n) return 'out_of_range';
    if (this.available(account) + amount < 0n) return 'would_break_floor';
    this.references.set(reference, { account, amount });
    const owner = this.account(account);
    owner.posted += amount;
    owner.seq += 1n;
    return 'booked';
  }

  private available(account: number): bigint {
    const { posted, floor } = this.account(account);
    return posted - floor - this.held(account);
  }

  private account(index: number): ModelAccount {
    const account = this.accounts[index];
    if (account === undefined) throw new Error(`no account ${index}`);
    return account;
  }
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
