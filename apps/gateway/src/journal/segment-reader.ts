import { readFile } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { readLines, type JournalFact, type JournalledEvent } from './journal-line.js';

/** Lines after which requests get a turn: a segment has thousands. */
const LINES_PER_TURN = 200;

/** What a segment tells. */
export interface SegmentContent {
  readonly facts: JournalFact[];
  /** Places at which lines are torn or altered. */
  readonly damages: number;
  /** Whole lines that another build wrote. */
  readonly foreignLines: number;
  /** Bytes of the file. */
  readonly bytes: number;
}

/** Events of one contract version: they can share a job. */
export interface EventBatch {
  readonly contract: number;
  readonly events: readonly JournalledEvent[];
}

/** Reads a segment, also one that is being written: a last line that is not complete yet counts as torn then. */
export async function readSegment(path: string): Promise<SegmentContent> {
  const file = await readFile(path);
  const content = { facts: new Array<JournalFact>(), damages: 0, foreignLines: 0, bytes: file.length };
  let lines = 0;
  for (const line of readLines(file)) {
    if ('fact' in line) content.facts.push(line.fact);
    else if ('foreign' in line) content.foreignLines += 1;
    else content.damages += 1;
    lines += 1;
    if (lines % LINES_PER_TURN === 0) await turn();
  }
  return content;
}

/** The events of some requests in a segment, each once, in batches of at most `eventsMax`. */
export async function readEvents(
  path: string,
  requestIds: ReadonlySet<string>,
  eventsMax: number,
): Promise<EventBatch[]> {
  const { facts } = await readSegment(path);
  const byContract = new Map<number, Map<string, JournalledEvent>>();
  for (const fact of facts) {
    if (fact.kind !== 'event' || !requestIds.has(fact.event.requestId)) continue;
    const events = byContract.get(fact.contract) ?? new Map<string, JournalledEvent>();
    byContract.set(fact.contract, events.set(fact.event.requestId, fact.event));
  }
  return [...byContract].flatMap(([contract, found]) => {
    const events = [...found.values()];
    const count = Math.ceil(events.length / eventsMax);
    return Array.from({ length: count }, (_, n) => ({
      contract,
      events: events.slice(n * eventsMax, (n + 1) * eventsMax),
    }));
  });
}
