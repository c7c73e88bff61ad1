import type { Jury, Violation } from './jury.js';
import type { SentRequest } from '../clients/sent-request.js';
import type { UsageRow } from './ledger-books.js';
import type { RequestCase } from './request-case.js';

/** Whether its usage came to the books when its hold had expired: by then its money may be spent. */
export function isLate(
  { recordedAtMs }: UsageRow,
  { endedAtMs }: SentRequest,
  { holdLifeMs }: Jury,
): boolean {
  return recordedAtMs - endedAtMs >= holdLifeMs;
}

/**
 * Nobody is served for more than was paid in, but for usage that comes later than its hold lives: its money may be spent by
 * then, or, as it draws on whatever the account has (design §3), the money of a hold that is alive. So what was absorbed of an
 * account is at no time more than what late usage has cost it until then, in nano-credits; what is more is absorbed for no reason.
 */
export function judgeAbsorbed(cases: readonly RequestCase[], jury: Jury): Violation[] {
  const lateNano = new Map<string, bigint>();
  return inLedgerOrder(cases).flatMap((one): Violation[] => {
    const { sent, truth, swept, transfers, frozenMs } = one;
    const accountId = sent.account.id;
    let left = lateNano.get(accountId) ?? 0n;
    const isDelayed = frozenMs >= jury.fenceMs || [...truth, ...swept].some((row) => isLate(row, sent, jury));
    if (isDelayed) left += truth[0]?.costNano ?? swept[0]?.costNano ?? 0n;
    const absorbed = transfers
      .filter(({ kind }) => kind === 'absorbed')
      .reduce((sum, { amountNano }) => sum - amountNano, 0n);
    lateNano.set(accountId, left > absorbed ? left - absorbed : 0n);
    if (absorbed <= left) return [];
    const detail = `${absorbed} was paid by nobody, and late usage of its account was ${left}`;
    return [{ rule: 'absorbed', ref: one.requestId ?? sent.marker, detail }];
  });
}

/** Those that moved money, in the order in which they did: transfers of an account are numbered under its lock. */
function inLedgerOrder(cases: readonly RequestCase[]): RequestCase[] {
  const first = ({ transfers }: RequestCase): bigint =>
    transfers.reduce((least, { id }) => (least === 0n || BigInt(id) < least ? BigInt(id) : least), 0n);
  return cases
    .filter(({ transfers }) => transfers.length > 0)
    .map((one) => ({ one, at: first(one) }))
    .sort((a, b) => (a.at < b.at ? -1 : 1))
    .map(({ one }) => one);
}
