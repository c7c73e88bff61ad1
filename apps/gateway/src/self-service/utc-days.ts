import type { Span } from '@tollgate/persistence';

const DAY_MS = 86_400_000;

/** The first moment of the month that `instant` is in. */
export function monthStart(instant: Date): Date {
  return new Date(Date.UTC(instant.getUTCFullYear(), instant.getUTCMonth(), 1));
}

/** The first moment of the month after the one that `instant` is in. */
export function nextMonthStart(instant: Date): Date {
  return new Date(Date.UTC(instant.getUTCFullYear(), instant.getUTCMonth() + 1, 1));
}

/** The whole month that `instant` is in. */
export function monthOf(instant: Date): Span {
  return { from: monthStart(instant), to: nextMonthStart(instant) };
}

/** The same time of day, so many days later. */
export function addDays(instant: Date, days: number): Date {
  return new Date(instant.getTime() + days * DAY_MS);
}

/** Every day from the first to the last one, both midnights. */
export function daysBetween(first: Date, last: Date): Span[] {
  const count = Math.round((last.getTime() - first.getTime()) / DAY_MS) + 1;
  return Array.from({ length: count }, (_, day) => ({
    from: addDays(first, day),
    to: addDays(first, day + 1),
  }));
}
