import type { ChaosAccount } from '../clients/accounts.js';
import type { MoneyOperation } from '../operations/money-operations.js';
import { judgeAbsorbed } from './absorbed.js';
import type { KnownPrice } from './exact-cost.js';
import { judgeRequest } from './judge-request.js';
import type { Violation } from './jury.js';
import type { AccountRow, TransferRow } from './ledger-books.js';
import { gatherCases, type RequestCase, type RunTraces } from './request-case.js';

/** What a run is judged by, besides its requests. */
export interface RunFacts {
  readonly traces: RunTraces;
  readonly accounts: readonly ChaosAccount[];
  readonly operations: readonly MoneyOperation[];
  /** What of Redis should be gone and is not. */
  readonly leftInRedis: readonly string[];
  /** Processes that ended without anybody having wanted it. */
  readonly crashes: readonly string[];
  /** What was seen while it went on. */
  readonly witnessed: readonly Violation[];
  readonly priceDelayMs: number;
  readonly fenceMs: number;
}

export interface Judgement {
  readonly cases: readonly RequestCase[];
  readonly violations: readonly Violation[];
  /** Sums of the run in nano-credits, by name. */
  readonly sums: Readonly<Record<string, bigint>>;
}

const USAGE_KINDS = ['usage', 'swept', 'reversal', 'absorbed'];

/** Holds the three books against each other. */
export function judgeRun(facts: RunFacts): Judgement {
  const { traces, leftInRedis, crashes, witnessed, priceDelayMs, fenceMs } = facts;
  const { holdLifeMs } = traces;
  const { books } = traces;
  const { cases, strangers } = gatherCases(traces);
  const prices = new Map<string, KnownPrice>(books.prices.map((price) => [price.id, price]));
  const jury = { prices, priceDelayMs, fenceMs, holdLifeMs };
  const violations: Violation[] = [
    ...cases.flatMap((one) => judgeRequest(one, jury)),
    ...judgeAbsorbed(cases, jury),
    ...strangers.map((ref) => ({ rule: 'of nobody', ref, detail: 'no client sent this request' })),
    ...books.violations.map((detail) => ({
      rule: 'ledger invariant',
      ref: detail.split(' ')[1] ?? '',
      detail,
    })),
    ...books.quarantine.map(({ requestId, reason }) => ({
      rule: 'quarantined',
      ref: requestId,
      detail: reason,
    })),
    ...books.liveReservations.map((detail) => ({
      rule: 'hold left',
      ref: detail.split(' ')[1] ?? '',
      detail,
    })),
    ...leftInRedis.map((detail) => ({ rule: 'hold left', ref: detail, detail: 'in Redis' })),
    ...crashes.map((detail) => ({ rule: 'crashed', ref: detail.split(' ', 1)[0] ?? '', detail })),
    ...witnessed,
    ...judgeAccounts(facts),
  ];
  return { cases, violations, sums: sumsOf(books.transfers, books.accounts) };
}

/** Money came and went as the operator was told, and no account spent more than it was given. */
function judgeAccounts({ traces, accounts, operations }: RunFacts): Violation[] {
  const { books } = traces;
  const byId = new Map(books.accounts.map((account) => [account.id, account]));
  return accounts.flatMap((account): Violation[] => {
    const found: Violation[] = [];
    const accuse = (rule: string, detail: string): void => {
      found.push({ rule, detail, ref: `${account.id} (${account.name})` });
    };
    const row = byId.get(account.id);
    if (row === undefined) return [{ rule: 'account lost', ref: account.id, detail: account.name }];
    if (row.heldNano !== 0n) accuse('hold left', `held is ${row.heldNano}`);
    if (row.postedNano < row.floorNano) accuse('below the floor', `${row.postedNano} < ${row.floorNano}`);
    const own = books.transfers.filter(({ accountId }) => accountId === account.id);
    judgeOperations(
      operations.filter(({ accountId }) => accountId === account.id),
      own.filter(({ kind }) => !USAGE_KINDS.includes(kind)),
      accuse,
    );
    const sum = own.reduce((total, { amountNano }) => total + amountNano, 0n);
    if (sum !== row.postedNano) accuse('books do not tie', `transfers ${sum}, posted ${row.postedNano}`);
    return found;
  });
}

/** Each movement that the operator was told of is there once, each that was refused is not; the first top-up comes on top. */
function judgeOperations(
  operations: readonly MoneyOperation[],
  transfers: readonly TransferRow[],
  accuse: (rule: string, detail: string) => void,
): void {
  const left = new Map(transfers.map((transfer) => [transfer.id, transfer]));
  const first = transfers[0];
  if (first !== undefined) left.delete(first.id);
  for (const { outcome, transferId, amountNano } of operations) {
    if (outcome !== 'done') continue;
    const transfer = left.get(transferId ?? '');
    if (transfer?.amountNano !== amountNano) {
      accuse(
        'operation lost',
        `${amountNano} was booked as ${String(transferId)}, which is ${String(transfer?.amountNano)}`,
      );
    }
    left.delete(transferId ?? '');
  }
  const unknown = operations
    .filter(({ outcome }) => outcome === 'unknown')
    .map(({ amountNano }) => amountNano);
  for (const { id, amountNano } of left.values()) {
    const index = unknown.indexOf(amountNano);
    if (index < 0) accuse('booked twice', `transfer ${id} of ${amountNano} is no operation's`);
    else unknown.splice(index, 1);
  }
}

function sumsOf(transfers: readonly TransferRow[], accounts: readonly AccountRow[]): Record<string, bigint> {
  const sums: Record<string, bigint> = {};
  for (const { kind, amountNano } of transfers) sums[kind] = (sums[kind] ?? 0n) + amountNano;
  sums['posted'] = accounts.reduce((total, { postedNano }) => total + postedNano, 0n);
  return sums;
}
