import type { RequestCase } from './request-case.js';

/** Why an answer, or a part of one, was delivered and nobody pays for it, or less than it was worth; null: it is paid for, or there was none. */
export function whyUnpaid({ sent, delivered, truth, swept, ...one }: RequestCase): string | null {
  if (one.transfers.some(({ kind }) => kind === 'absorbed')) {
    return 'absorbed: usage came when its hold had expired, its own or that of another of its account, and the money was spent';
  }
  if (truth.length > 0 || delivered.length === 0) return null;
  const what = swept.length > 0 ? 'only a checkpoint was charged' : 'nothing was charged';
  const part = sent.outcome === 'complete' ? 'a whole answer' : 'a part of an answer';
  if (one.isForgotten) {
    return `${part}, ${what}: the disk of its gateway was lost, and Redis forgot its copies`;
  }
  if (one.isJournalLost) return `${part}, ${what}: the disk of its gateway was lost`;
  if (one.diedAtMs !== null) return `${part}, ${what}: its gateway was killed under it`;
  return `${part}, ${what}: for no reason that is known`;
}
