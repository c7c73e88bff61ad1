import { existsSync, readFileSync, readdirSync, readlinkSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';

const SEGMENT = /^\d+\.journal$/;
const RECORD = 0x1e;
const RECORD_MARK = String.fromCharCode(RECORD);

const eventSchema = z.looseObject({
  requestId: z.string(),
  accountId: z.string(),
  costNano: z.string(),
  units: z.record(z.string(), z.number()),
  outcome: z.string(),
  swept: z.literal(true).optional(),
});

const factSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('begun'), requestId: z.string(), accountId: z.string(), at: z.string() }),
  z.object({ kind: z.literal('checkpoint'), contract: z.number(), event: eventSchema }),
  z.object({ kind: z.literal('event'), contract: z.number(), event: eventSchema }),
]);

export type JournalLine = z.infer<typeof factSchema>;

/** A journal that was lost with its disk. */
export interface LostJournal {
  readonly lines: readonly JournalLine[];
  /** The requests whose event was in the queue or in the books by then: their other copy. */
  readonly copied: ReadonlySet<string>;
}

/** All lines of the journals under a folder, adopted ones too. Read without the gateway's code, which is under test. */
export function readJournals(folder: string): JournalLine[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return readJournals(path);
    return SEGMENT.test(entry.name) ? readLines(readFileSync(path, 'utf8')) : [];
  });
}

/** The requests whose event is among the lines. */
export function eventsOf(lines: readonly JournalLine[]): string[] {
  return lines.flatMap((line) => (line.kind === 'event' ? [line.event.requestId] : []));
}

/** A torn line is nobody's. */
function readLines(text: string): JournalLine[] {
  return text
    .split(RECORD_MARK)
    .slice(1)
    .flatMap((line) => {
      const start = line.indexOf('{');
      try {
        return [factSchema.parse(JSON.parse(line.slice(start)))];
      } catch {
        return [];
      }
    });
}

/** The journal that a process writes now; null if it cannot be told (only Linux tells). */
export function journalOf(pid: number, root: string): string | null {
  try {
    for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
      const path = readlinkSync(`/proc/${pid}/fd/${descriptor}`);
      const folder = dirname(path);
      if (SEGMENT.test(basename(path)) && dirname(folder) === root) return folder;
    }
  } catch {
    // It ended meanwhile.
  }
  return null;
}

/** Loses the disk of a dead process: its own journal, not what it had taken over from others. Answers what was lost. */
export function loseJournal(folder: string, root: string): JournalLine[] {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) renameSync(join(folder, entry.name), join(root, `${entry.name}-${Date.now()}`));
  }
  const lost = readJournals(folder);
  rmSync(folder, { recursive: true, force: true });
  return lost;
}
