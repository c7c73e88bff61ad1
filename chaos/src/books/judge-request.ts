import { parseAmount } from '@tollgate/pricing';
import { isLate } from './absorbed.js';
import { estimatedInputTokens, estimatedOutputTokens, exactCostNano } from './exact-cost.js';
import type { Jury, Violation } from './jury.js';
import type { UsageRow } from './ledger-books.js';
import type { RequestCase } from './request-case.js';

/** Answers that say that nothing was done, by their code. */
const REFUSALS = ['insufficient_quota', 'billing_unavailable', 'account_deactivated', 'server_is_overloaded'];
/** How long a delivery may have run before its gateway died, without a checkpoint anywhere. */
const CHECKPOINTED_WITHIN_MS = 2_000;

/** Holds the three books of one request against each other. */
export function judgeRequest(one: RequestCase, jury: Jury): Violation[] {
  const found: Violation[] = [];
  const accuse = (rule: string, detail: string): void => {
    found.push({ rule, detail, ref: one.requestId ?? one.sent.marker });
  };
  judgeCounts(one, accuse);
  judgeRefusal(one, accuse);
  judgeMoney(one, accuse);
  const [truth] = one.truth;
  const [swept] = one.swept;
  if (truth !== undefined) judgeTruth(one, { truth, jury, accuse });
  else if (swept !== undefined) judgeSwept(one, { swept, jury, accuse });
  else judgeAbsence(one, accuse);
  return found;
}

type Accuse = (rule: string, detail: string) => void;

function judgeCounts(one: RequestCase, accuse: Accuse): void {
  const { sent, truth, swept, events, delivered } = one;
  if (truth.length > 1) accuse('charged twice', `${truth.length} usage records`);
  if (swept.length > 1) accuse('charged twice', `${swept.length} swept records`);
  if (new Set(events.map(({ event }) => JSON.stringify(event))).size > 1) {
    accuse('two ends', 'its journal has two events with other content');
  }
  if (delivered.filter(({ hasEnded, status }) => hasEnded && status === 200).length > 1) {
    accuse('delivered twice', `${delivered.length} deliveries`);
  }
  const [event] = events;
  if (event === undefined) return;
  const [settled] = truth;
  if (settled === undefined) {
    accuse('lost', `its event of ${event.event.costNano} is in the journal and not in the books`);
  } else if (settled.costNano !== BigInt(event.event.costNano)) {
    accuse('wrong amount', `journal ${event.event.costNano}, record ${settled.costNano}`);
  }
  if (settled !== undefined && settled.accountId !== sent.account.id) {
    accuse('wrong account', `record of ${settled.accountId}`);
  }
}

function judgeRefusal({ sent, delivered, truth, swept }: RequestCase, accuse: Accuse): void {
  if (sent.outcome !== 'refused') return;
  if (sent.errorCode === 'insufficient_quota' && sent.account.means === 'ample') {
    accuse('false refusal', 'insufficient_quota, and there is money');
  }
  if (!REFUSALS.includes(sent.errorCode ?? '')) return;
  if (delivered.length > 0) {
    accuse('served though refused', `${String(sent.errorCode)}, and the upstream was asked`);
  }
  const cost = [...truth, ...swept].reduce((sum, { costNano }) => sum + costNano, 0n);
  if (cost > 0n) accuse('charged though refused', `${String(sent.errorCode)}, and ${cost} was charged`);
}

/** What moved for it is what its record says, once. */
function judgeMoney({ truth, swept, transfers }: RequestCase, accuse: Accuse): void {
  const sum = (kinds: readonly string[]): bigint =>
    transfers
      .filter(({ kind }) => kinds.includes(kind))
      .reduce((total, { amountNano }) => total - amountNano, 0n);
  const paid = sum(['usage', 'swept', 'reversal']);
  const absorbed = sum(['absorbed']);
  const due = truth[0]?.costNano ?? swept[0]?.costNano ?? 0n;
  if (paid + absorbed !== due) accuse('wrong amount', `record ${due}, paid ${paid}, absorbed ${absorbed}`);
}

interface TruthTrial {
  readonly truth: UsageRow;
  readonly jury: Jury;
  readonly accuse: Accuse;
}

function judgeTruth(one: RequestCase, trial: TruthTrial): void {
  const { truth, jury, accuse } = trial;
  judgePrice(one, { row: truth, jury, accuse });
  judgeUnits(one, trial);
  if (one.sent.outcome !== 'complete') return;
  if (truth.outcome !== 'completed') {
    accuse('wrong outcome', `the client has it all, the record says ${truth.outcome}`);
  }
  if (!one.delivered.some(({ hasEnded }) => hasEnded)) {
    accuse('answer of nobody', 'the client has an answer that the upstream did not end');
  }
  const { usage, chargedCredits } = one.sent;
  if (usage !== null && (usage.input !== truth.input || usage.output !== truth.output)) {
    accuse(
      'wrong amount',
      `told ${usage.input} + ${usage.output} tokens, charged ${truth.input} + ${truth.output}`,
    );
  }
  if (chargedCredits !== null && parseAmount(chargedCredits) !== truth.costNano) {
    accuse('wrong amount', `told ${chargedCredits} credits, charged ${truth.costNano} nano-credits`);
  }
}

/** When a request was admitted at the latest: before its upstream was asked, which a frozen gateway does long after its client left. */
function admittedByMs({ sent, delivered }: RequestCase): number {
  return Math.max(sent.endedAtMs, ...delivered.map(({ arrivedAtMs }) => arrivedAtMs));
}

function judgePrice(
  one: RequestCase,
  { row, jury, accuse }: { row: UsageRow; jury: Jury; accuse: Accuse },
): void {
  const { sent } = one;
  const price = jury.prices.get(row.priceId);
  if (price === undefined || price.model !== sent.model) {
    accuse('wrong price', `price ${row.priceId} for ${sent.model}`);
    return;
  }
  const nextFromMs = [...jury.prices.values()]
    .filter(({ model, effectiveFromMs }) => model === price.model && effectiveFromMs > price.effectiveFromMs)
    .reduce((least, { effectiveFromMs }) => Math.min(least, effectiveFromMs), Infinity);
  const isTooNew = row.costNano > 0n && price.effectiveFromMs > admittedByMs(one) + 1;
  if (isTooNew || nextFromMs < sent.sentAtMs - jury.priceDelayMs) {
    accuse('wrong price', `price ${price.id} was in force from ${price.effectiveFromMs} to ${nextFromMs}`);
  }
  if (row.multiplierPpm !== sent.account.multiplierPpm) {
    accuse('wrong price', `multiplier ${row.multiplierPpm}`);
  }
  const due = row.isBillable ? exactCostNano(price, row, row.multiplierPpm) : 0n;
  if (!row.isSwept && due !== row.costNano) {
    accuse('wrong amount', `${due} is due, ${row.costNano} was charged`);
  }
}

/** The units are the upstream's own, else the policy's estimate of what went through. */
function judgeUnits(one: RequestCase, { truth, accuse }: TruthTrial): void {
  const { sent, delivered } = one;
  const units = `${truth.input} + ${truth.output}`;
  if (truth.usageSource === 'none') {
    if (sent.contentBytes > 0) {
      accuse('free though delivered', `${sent.contentBytes} bytes came to the client`);
    }
    return;
  }
  if (truth.usageSource === 'provider') {
    const said = delivered.map(({ usage }) => usage).filter((usage) => usage !== null);
    const isSaid = said.some(
      (usage) => usage.prompt_tokens === truth.input && usage.completion_tokens === truth.output,
    );
    if (!isSaid) accuse('wrong amount', `${units} tokens, the upstream said ${JSON.stringify(said)}`);
    return;
  }
  if (sent.asked.hasUsage && truth.usageSource === 'estimated' && sent.outcome === 'complete') {
    accuse('wrong amount', 'estimated, though the upstream said what was used');
  }
  const most = Math.max(0, ...delivered.map(({ contentBytes }) => contentBytes));
  const least = sent.outcome === 'complete' ? most : sent.contentBytes;
  const isRight =
    truth.input === estimatedInputTokens(sent.promptBytes) &&
    truth.output <= estimatedOutputTokens(most) &&
    truth.output >= estimatedOutputTokens(least);
  if (!isRight) {
    accuse('wrong amount', `estimated ${units} tokens of ${sent.promptBytes} and ${least} to ${most} bytes`);
  }
}

/** Only a guess is in the books: its gateway must have died, and the guess lies between nothing and all that was delivered. */
function judgeSwept(
  one: RequestCase,
  { swept, jury, accuse }: { swept: UsageRow; jury: Jury; accuse: Accuse },
): void {
  const { sent, delivered, checkpoints } = one;
  // Where every copy was lost nobody knows more than the guess.
  if (one.diedAtMs === null && !one.isForgotten) {
    accuse('lost', 'only a guess is in the books, and its gateway lived on');
  } else if (sent.outcome === 'complete' && !one.isJournalLost && !one.isForgotten) {
    accuse('lost', 'the client has it all, and only a guess is in the books, though no disk was lost');
  }
  judgePrice(one, { row: swept, jury, accuse });
  const price = jury.prices.get(swept.priceId);
  if (price === undefined) return;
  const estimate = estimatedInputTokens(sent.promptBytes);
  const most = delivered.map(({ usage, chunks, contentBytes }) =>
    exactCostNano(
      price,
      {
        input: Math.max(estimate, usage?.prompt_tokens ?? 0),
        output: Math.max(chunks * sent.asked.tokensPerChunk, estimatedOutputTokens(contentBytes)),
      },
      swept.multiplierPpm,
    ),
  );
  if (!most.some((cost) => swept.costNano <= cost)) {
    accuse('wrong amount', `swept ${swept.costNano}, delivered was worth ${most.join(', ')}`);
  }
  const least =
    checkpoints.map(({ event }) => BigInt(event.costNano)).sort((a, b) => (a < b ? -1 : 1))[0] ?? 0n;
  if (swept.costNano < least && !isLate(swept, sent, jury)) {
    accuse('wrong amount', `swept ${swept.costNano}, its first checkpoint said ${least}`);
  }
}

/** Nothing is in the books: nothing may have been delivered, or its gateway died before anything could be noted. */
function judgeAbsence(one: RequestCase, accuse: Accuse): void {
  const { sent, delivered, diedAtMs, checkpoints } = one;
  if (one.isForgotten) return;
  // Its event was handed to the system before its answer ended: a killed process leaves it.
  if (sent.outcome === 'complete' && (diedAtMs === null || !one.isJournalLost)) {
    accuse('lost', 'the client has it all, the books have nothing, though no disk was lost');
    return;
  }
  if (delivered.length === 0) return;
  if (diedAtMs === null) {
    accuse('lost', 'it was delivered, its gateway lived on, the books have nothing');
  } else if (checkpoints.some(({ event }) => BigInt(event.costNano) > 0n)) {
    accuse('lost', 'its gateway died, and its checkpoint is in the journal and not in the books');
  } else if (sent.firstContentAtMs !== null) {
    // A checkpoint is of a stream that runs: what has ended has its event.
    const ranMs = Math.min(diedAtMs, sent.endedAtMs) - sent.firstContentAtMs - one.frozenMs;
    if (ranMs <= CHECKPOINTED_WITHIN_MS) return;
    accuse('lost', `it ran for ${ranMs} ms after its first content, without a checkpoint anywhere`);
  }
}
