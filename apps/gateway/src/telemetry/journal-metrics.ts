import type { ProcessMetrics } from '@tollgate/runtime';

/** What a journal holds at the moment of a scrape. */
export interface JournalFigures {
  readonly isWritable: boolean;
  readonly segments: number;
  readonly bytes: number;
  /** Events that Postgres is not known to have. */
  readonly unknownEvents: number;
  /** How long this process has had the oldest of them; 0 without one. */
  readonly oldestUnknownSeconds: number;
  /** Folders of processes that are no more, not settled to the end yet. */
  readonly adoptedFolders: number;
  /** Lines of adopted folders that were torn or altered, since the process began. */
  readonly damagedLines: number;
}

/** Shows the journal; a process without one has no values. Described in docs/observability.md. */
export function watchJournal(metrics: ProcessMetrics, read: () => JournalFigures | null): void {
  const show = (name: string, help: string, figure: (figures: JournalFigures) => number): void =>
    metrics.gauge({
      name: `tollgate_gateway_journal_${name}`,
      help,
      read: () => {
        const figures = read();
        return figures === null ? null : figure(figures);
      },
    });
  show('writable', '1 while the journal takes lines.', ({ isWritable }) => Number(isWritable));
  show('segments', 'Segments on the disk, those of adopted folders included.', ({ segments }) => segments);
  show('bytes', 'Bytes of these segments.', ({ bytes }) => bytes);
  show(
    'unknown_events',
    'Usage events that Postgres is not known to have.',
    ({ unknownEvents }) => unknownEvents,
  );
  show(
    'oldest_unknown_event_age_seconds',
    'How long the oldest of these has been in the journal of this process.',
    ({ oldestUnknownSeconds }) => oldestUnknownSeconds,
  );
  show(
    'adopted_folders',
    'Folders of processes that are no more, not settled to the end yet.',
    ({ adoptedFolders }) => adoptedFolders,
  );
  show(
    'damaged_lines',
    'Lines of adopted folders that were torn or altered, since the process began.',
    ({ damagedLines }) => damagedLines,
  );
}
