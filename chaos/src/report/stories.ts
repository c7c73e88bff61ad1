import type { RequestCase } from '../books/request-case.js';
import type { Violation } from '../books/jury.js';
import type { StruckFault } from '../faults/fault-schedule.js';
import type { JournalLine } from '../world/journal-files.js';

const NEAR_MS = 3_000;

/** What happened to a request that a violation is about, from all sides; null if it is about something else. */
export function storyOf(
  violation: Violation,
  cases: readonly RequestCase[],
  faults: readonly StruckFault[],
): string | null {
  const one = cases.find(
    ({ requestId, sent }) => requestId === violation.ref || sent.marker === violation.ref,
  );
  if (one === undefined) return null;
  const { sent } = one;
  const since = (ms: number | null): string => (ms === null ? 'never' : `+${ms - sent.sentAtMs} ms`);
  const near = faults.filter(
    ({ fromMs, toMs }) => toMs > sent.sentAtMs - NEAR_MS && fromMs < sent.endedAtMs + NEAR_MS,
  );
  const lines = [
    `${violation.rule}: ${violation.detail}`,
    `  request ${String(one.requestId)} (${sent.marker}) of ${sent.account.name}, ${sent.model}, by ${sent.gateway}, sent ${new Date(sent.sentAtMs).toISOString()}`,
    `  client: ${sent.outcome}, status ${String(sent.status)}, ${String(sent.errorCode)}, first content ${since(sent.firstContentAtMs)}, end ${since(sent.endedAtMs)}, ${sent.contentBytes} bytes, usage ${JSON.stringify(sent.usage)}, charged ${String(sent.chargedCredits)}`,
    `  gateway died: ${since(one.diedAtMs)}${one.isJournalLost ? ', and its journal was lost' : ''}`,
    ...one.delivered.map(
      (delivery) =>
        `  upstream: arrived ${since(delivery.arrivedAtMs)}, closed ${since(delivery.closedAtMs)}, status ${String(delivery.status)}, ${delivery.chunks} chunks, ${delivery.contentBytes} bytes, usage ${JSON.stringify(delivery.usage)}, ${delivery.hasEnded ? 'ended' : 'not ended'}${delivery.hasClientLeft ? ', client left' : ''}`,
    ),
    ...[...one.checkpoints, ...one.events].map((line) => `  journal: ${describe(line)}`),
    ...[...one.truth, ...one.swept].map(
      (row) =>
        `  record: ${row.isSwept ? 'swept' : 'true'} ${row.outcome}, ${row.usageSource}, ${row.input} + ${row.output}, cost ${row.costNano}, price ${row.priceId}`,
    ),
    ...one.transfers.map(({ id, kind, amountNano }) => `  transfer ${id}: ${kind} ${amountNano}`),
    ...near.map(({ kind, fromMs, toMs }) => `  fault: ${kind}, ${since(fromMs)} to ${since(toMs)}`),
  ];
  return lines.join('\n');
}

function describe(line: JournalLine): string {
  if (line.kind === 'begun') return `begun ${line.at}`;
  const { outcome, costNano, units } = line.event;
  return `${line.kind} ${outcome} ${JSON.stringify(units)} cost ${costNano}`;
}
