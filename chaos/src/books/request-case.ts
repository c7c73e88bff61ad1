import type { SentRequest } from '../clients/sent-request.js';
import { requestIdFromWire } from '../clients/sent-request.js';
import type { Delivered } from '../upstream/delivered.js';
import type { Freeze, Life } from '../world/app-process.js';
import type { JournalLine, LostJournal } from '../world/journal-files.js';
import type { LedgerBooks, TransferRow, UsageRow } from './ledger-books.js';

type Written<K extends JournalLine['kind']> = Extract<JournalLine, { kind: K }>;

/** Everything that the books say of one request. */
export interface RequestCase {
  readonly sent: SentRequest;
  readonly requestId: string | null;
  readonly delivered: readonly Delivered[];
  readonly truth: readonly UsageRow[];
  readonly swept: readonly UsageRow[];
  readonly transfers: readonly TransferRow[];
  readonly events: readonly Written<'event'>[];
  readonly checkpoints: readonly Written<'checkpoint'>[];
  /** Lines of it were in a journal whose disk was lost before its event was anywhere else. */
  readonly isJournalLost: boolean;
  /** Lines of it were in a journal whose disk was lost, and Redis forgot what it knew of it, or may have: nobody knows then. */
  readonly isForgotten: boolean;
  /** When its gateway died under it, in milliseconds since the epoch; null: it did not. */
  readonly diedAtMs: number | null;
  /** Milliseconds for which its gateway was frozen while it ran. */
  readonly frozenMs: number;
}

/** What a run leaves behind. */
export interface RunTraces {
  readonly sent: readonly SentRequest[];
  readonly delivered: readonly Delivered[];
  readonly books: LedgerBooks;
  readonly journal: readonly JournalLine[];
  readonly lostJournals: readonly LostJournal[];
  /** When Redis forgot something, in milliseconds since the epoch. */
  readonly forgotten: readonly { readonly fromMs: number; readonly toMs: number }[];
  /** How long a hold lives that nobody renews. */
  readonly holdLifeMs: number;
  /** By the name of the gateway. */
  readonly lives: ReadonlyMap<string, readonly Life[]>;
  readonly freezes: ReadonlyMap<string, readonly Freeze[]>;
}

/** How long after its end a request's event may need to be on the disk, while its gateway runs. */
export const JOURNALLED_WITHIN_MS = 3_000;

/** Puts together what belongs together. Records and deliveries of nobody's request are answered apart. */
export function gatherCases(traces: RunTraces): { cases: RequestCase[]; strangers: string[] } {
  const { sent, books, journal, lostJournals } = traces;
  const delivered = groupBy(traces.delivered, ({ marker }) => marker ?? '');
  const usage = groupBy(books.usage, ({ requestId }) => requestId);
  const transfers = groupBy(books.transfers, ({ refId }) => refId);
  const lines = groupBy(journal, requestOf);
  const lost = new Set(lostJournals.flatMap(({ lines: gone }) => gone.map(requestOf)));
  const copied = new Set(lostJournals.flatMap((one) => [...one.copied]));
  const cases = sent.map((one): RequestCase => {
    const deliveries = delivered.get(one.marker) ?? [];
    const fromUpstream = deliveries
      .map(({ requestId }) => requestIdFromWire(requestId))
      .find((id) => id !== null);
    const requestId = one.requestId ?? fromUpstream ?? null;
    const rows = requestId === null ? [] : (usage.get(requestId) ?? []);
    const written = requestId === null ? [] : (lines.get(requestId) ?? []);
    const isOnLostDisk = requestId !== null && lost.has(requestId);
    const isJournalLost = isOnLostDisk && !copied.has(requestId);
    return {
      sent: one,
      requestId,
      delivered: deliveries,
      truth: rows.filter(({ isSwept }) => !isSwept),
      swept: rows.filter(({ isSwept }) => isSwept),
      transfers: requestId === null ? [] : (transfers.get(requestId) ?? []),
      events: written.filter((line) => line.kind === 'event'),
      checkpoints: written.filter((line) => line.kind === 'checkpoint'),
      isJournalLost,
      isForgotten: isOnLostDisk && isForgotten(one, traces),
      diedAtMs: deathOf(one, isJournalLost ? Infinity : overAtMs(one, deliveries), traces),
      frozenMs: frozenBetween(
        traces.freezes.get(one.gateway) ?? [],
        one.sentAtMs,
        one.endedAtMs + JOURNALLED_WITHIN_MS,
      ),
    };
  });
  return { cases, strangers: strangersIn(traces, cases) };
}

function requestOf(line: JournalLine): string {
  return line.kind === 'begun' ? line.requestId : line.event.requestId;
}

/** Whether Redis forgot anything from the begin of a request to the end of its hold. */
function isForgotten({ sentAtMs, endedAtMs }: SentRequest, { forgotten, holdLifeMs }: RunTraces): boolean {
  return forgotten.some(({ fromMs, toMs }) => toMs >= sentAtMs && fromMs <= endedAtMs + 2 * holdLifeMs);
}

/**
 * When both sides of a request were over, and it was admitted: a gateway short of processor asks its upstream after the client has left,
 * and notices late that it did.
 */
function overAtMs(sent: SentRequest, deliveries: readonly Delivered[]): number {
  return Math.max(
    sent.endedAtMs,
    ...deliveries.map(({ arrivedAtMs, closedAtMs }) => closedAtMs ?? arrivedAtMs),
  );
}

/** The end of the life in which the request was sent, if it came by force before the request's event could be on the disk. */
function deathOf(sent: SentRequest, overMs: number, { lives, freezes }: RunTraces): number | null {
  const life = lives
    .get(sent.gateway)
    ?.find(
      ({ startedAtMs, endedAtMs }) =>
        startedAtMs <= sent.sentAtMs && (endedAtMs ?? Infinity) >= sent.sentAtMs,
    );
  if (life === undefined || life.endedAtMs === null || life.end === 'exit code 0') return null;
  const frozenMs = frozenBetween(freezes.get(sent.gateway) ?? [], overMs, life.endedAtMs);
  return life.endedAtMs - frozenMs <= overMs + JOURNALLED_WITHIN_MS ? life.endedAtMs : null;
}

/** Milliseconds for which a process was frozen between two times. */
export function frozenBetween(freezes: readonly Freeze[], fromMs: number, toMs: number): number {
  return freezes.reduce((sum, freeze) => {
    const from = Math.max(fromMs, freeze.fromMs);
    const to = Math.min(toMs, freeze.toMs ?? toMs);
    return sum + Math.max(0, to - from);
  }, 0);
}

/** What was recorded or delivered for a request that no client sent. */
function strangersIn({ books, delivered }: RunTraces, cases: readonly RequestCase[]): string[] {
  const markers = new Set(cases.map(({ sent }) => sent.marker));
  const ids = new Set(cases.map(({ requestId }) => requestId));
  const unnamed = groupBy(
    cases.filter(({ requestId }) => requestId === null),
    ({ sent }) => sent.account.id,
  );
  // Whoever left before the answer's head does not know its request's name: such a record is free, and there is one for each at most.
  const records = books.usage.filter(({ requestId, accountId, costNano }) => {
    if (ids.has(requestId)) return false;
    return costNano > 0n || unnamed.get(accountId)?.pop() === undefined;
  });
  return [
    ...delivered
      .filter(({ marker }) => !markers.has(marker ?? ''))
      .map(({ requestId }) => `delivery ${String(requestId)}`),
    ...records.map(({ requestId, costNano }) => `usage record ${requestId} of ${costNano}`),
  ];
}

function groupBy<T>(values: readonly T[], keyOf: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [value]);
    else group.push(value);
  }
  return groups;
}
