/** What one step did, in the words of the ledger. */
export type StepResult = string;

interface ModelAccount {
  posted: bigint;
  readonly floor: bigint;
  seq: bigint;
  isSuspended: boolean;
}

interface ModelHold {
  readonly account: number;
  granted: bigint;
  state: 'open' | 'closing' | 'closed';
  /** What the request had cost at the last touch; null if nothing had been delivered. */
  checkpoint: bigint | null;
}

interface ModelEscrow {
  readonly account: number;
  granted: bigint;
  used: bigint;
  released: bigint;
  state: 'open' | 'closing' | 'closed';
  isShut: boolean;
}

/** What a pocket says that it had; null if it was gone. */
export type ModelRest = { readonly spent: bigint; readonly held: bigint } | null;

export interface ModelUsage {
  readonly request: number;
  readonly account: number;
  readonly cost: bigint;
  readonly swept?: boolean;
  readonly escrow?: number | null;
}

/**
 * What the ledger promises, as simply as it can be said: one request after the other, no batches, no locks. Holds are
 * summed up anew each time, so that nothing is shared with the way in which the database keeps its balances.
 */
export class LedgerModel {
  readonly accounts: ModelAccount[];
  private readonly holds = new Map<number, ModelHold>();
  /** In the order in which they began. */
  private readonly escrows = new Map<number, ModelEscrow>();
  private readonly records = new Map<number, { account: number; cost: bigint }>();
  private readonly sweeps = new Map<number, { account: number; charged: bigint }>();
  private readonly references = new Map<number, { account: number; amount: bigint }>();
  absorbed = 0n;

  constructor(accounts: readonly { posted: bigint; floor: bigint }[]) {
    this.accounts = accounts.map(({ posted, floor }) => ({
      posted,
      floor,
      seq: posted > 0n ? 1n : 0n,
      isSuspended: false,
    }));
  }

  /** What an escrow has, as its row says it. */
  escrowRow(index: number): string {
    const escrow = this.escrows.get(index);
    if (escrow === undefined) return 'unknown';
    const { granted, used, released, state, isShut } = escrow;
    return `${granted} - ${used} - ${released} ${state}${isShut ? ' shut' : ''}`;
  }

  held(account: number): bigint {
    const holds = [...this.holds.values()].filter((hold) => hold.account === account);
    const escrows = [...this.escrows.values()].filter((escrow) => escrow.account === account);
    return sum(holds.map(({ granted }) => granted)) + sum(escrows.map(rest));
  }

  hold(ask: { request: number; account: number; total: bigint; least: bigint }): StepResult {
    const { request, account, total, least } = ask;
    const hold = this.holds.get(request);
    const isRecorded = this.records.has(request) || this.sweeps.has(request);
    if (hold === undefined ? isRecorded : hold.state !== 'open' || hold.account !== account) {
      return 'settled';
    }
    const has = hold?.granted ?? 0n;
    const available = this.available(account);
    const gets = min(max(total, has), has + available);
    if (gets < min(least, total)) return `refused ${available}`;
    this.holds.set(request, { account, granted: gets, state: 'open', checkpoint: hold?.checkpoint ?? null });
    return `held ${gets}`;
  }

  touch(request: number, checkpoint: bigint | null): StepResult {
    const hold = this.holds.get(request);
    if (hold?.state !== 'open') return 'gone';
    hold.checkpoint = checkpoint ?? hold.checkpoint;
    return 'open';
  }

  close(request: number, cost: bigint): void {
    const hold = this.holds.get(request);
    if (hold?.state !== 'open') return;
    hold.granted = min(hold.granted, cost);
    hold.state = hold.granted === 0n ? 'closed' : 'closing';
  }

  settle(usage: ModelUsage): StepResult {
    const { request, account, cost, swept = false } = usage;
    const hold = this.holds.get(request);
    const known = this.records.get(request);
    const sweep = this.sweeps.get(request);
    if (hold !== undefined && hold.account !== account) return 'quarantined request_of_another_account';
    if (swept) return known || sweep ? 'known' : this.book(usage);
    if (known === undefined && sweep !== undefined && sweep.account !== account) {
      return 'quarantined request_of_another_account';
    }
    if (known === undefined) return this.book(usage);
    return known.account === account && known.cost === cost ? 'known' : 'quarantined other_content';
  }

  /** Time passes: holds that are overdue are free, or swept at what they had delivered. */
  expire(requests: readonly number[]): void {
    const overdue = requests
      .filter((request) => this.holds.get(request)?.state === 'open')
      .sort((a, b) => a - b);
    for (const request of overdue) {
      const hold = this.holds.get(request);
      if (hold?.checkpoint === null) Object.assign(hold, { granted: 0n, state: 'closed' });
    }
    for (const request of overdue) {
      const hold = this.holds.get(request);
      if (hold?.state !== 'open') continue;
      this.settle({
        request,
        account: hold.account,
        cost: min(hold.checkpoint ?? 0n, hold.granted),
        swept: true,
      });
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
    this.post(account, amount);
    return 'booked';
  }

  suspend(account: number, isSuspended: boolean): void {
    this.account(account).isSuspended = isSuspended;
  }

  grant(escrow: number, account: number, total: bigint): StepResult {
    let mine = this.escrows.get(escrow);
    const has = mine?.granted ?? 0n;
    if (this.account(account).isSuspended) return `suspended ${has}`;
    if (mine !== undefined && mine.state !== 'open') return `closing ${has}`;
    if (mine === undefined) {
      for (const other of this.escrowsOf(account)) if (other.state === 'open') other.state = 'closing';
      mine = { account, granted: 0n, used: 0n, released: 0n, state: 'open', isShut: false };
    }
    const more = max(0n, min(total - has, this.available(account)));
    mine.granted += more;
    this.escrows.set(escrow, mine);
    return `open ${mine.granted}`;
  }

  wanted(account: number): StepResult {
    const open = this.escrowsOf(account).find(({ state }) => state === 'open');
    if (open !== undefined) open.state = 'closing';
    const newest = this.current(account);
    return [...this.escrows].flatMap(([index, escrow]) => (escrow === newest ? [String(index)] : [])).join();
  }

  shut(escrow: number, pocket: ModelRest): StepResult {
    const mine = this.escrows.get(escrow);
    if (mine === undefined) return 'unknown';
    if (mine.state === 'closed') return '0';
    const freed =
      pocket === null
        ? 0n
        : max(0n, mine.granted - mine.released - max(pocket.spent, mine.used) - pocket.held);
    Object.assign(mine, { state: 'closing', isShut: true, released: mine.released + freed });
    return String(freed);
  }

  /** Time passes: of these escrows, those that are shut end. */
  finish(escrows: readonly number[]): void {
    for (const index of escrows) {
      const escrow = this.escrows.get(index);
      if (escrow?.isShut) Object.assign(escrow, { state: 'closed', released: escrow.granted - escrow.used });
    }
  }

  /** Draws on what was swept before and the own hold, the named escrow, what is available, the current escrow. */
  private book({ request, account, cost, swept = false, escrow }: ModelUsage): StepResult {
    const reversed = swept ? 0n : (this.sweeps.get(request)?.charged ?? 0n);
    if (reversed > 0n) this.post(account, reversed);
    const hold = this.holds.get(request);
    const own = hold !== undefined && hold.state !== 'closed' ? hold.granted : null;
    if (hold !== undefined) Object.assign(hold, { granted: 0n, state: 'closed' });
    const due = swept && own !== null ? min(cost, own) : cost;
    let left = due - min(due, (own ?? 0n) + reversed);
    const named = escrow === undefined || escrow === null ? undefined : this.escrows.get(escrow);
    if (named?.account === account) {
      const drawn = min(left, rest(named));
      named.used += drawn;
      left -= drawn;
    }
    // What was drawn so far is not held any more, nor paid yet.
    left -= min(left, max(0n, this.available(account) - (due - left)));
    const current = this.current(account);
    if (current !== undefined && left > 0n && rest(current) > 0n) {
      const drawn = min(left, rest(current));
      Object.assign(current, { released: current.released + drawn, state: 'closing' });
      left -= drawn;
    }
    if (due > left) this.post(account, left - due);
    if (swept) {
      this.sweeps.set(request, { account, charged: due - left });
      return `settled ${due - left} 0 0`;
    }
    this.records.set(request, { account, cost });
    this.absorbed += left;
    return `settled ${due - left} ${left} ${reversed}`;
  }

  private post(account: number, amount: bigint): void {
    const owner = this.account(account);
    owner.posted += amount;
    owner.seq += 1n;
  }

  private escrowsOf(account: number): ModelEscrow[] {
    return [...this.escrows.values()].filter((escrow) => escrow.account === account);
  }

  /** The open one, else the newest whose pocket is not shut. */
  private current(account: number): ModelEscrow | undefined {
    const live = this.escrowsOf(account).filter(({ isShut }) => !isShut);
    return live.find(({ state }) => state === 'open') ?? live.at(-1);
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

function rest({ granted, used, released }: ModelEscrow): bigint {
  return granted - used - released;
}

function sum(amounts: readonly bigint[]): bigint {
  return amounts.reduce((total, amount) => total + amount, 0n);
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
