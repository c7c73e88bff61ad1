import { invalidField, type Problem } from '../http/problem.js';

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** No report has more rows than this. */
export const ROWS_MAX = 10_000;

const DAYS_UNLESS_TOLD = 30;

/** The time that a report is about: from its first moment to the first one after it. */
export interface ReportSpan {
  readonly from: Date;
  readonly to: Date;
}

/**
 * What was asked for, up to now and from the beginning of a UTC day 30 days before unless told otherwise.
 * @throws Problem 422 for a span that ends before it begins.
 */
export function reportSpan(asked: { from?: Date | undefined; to?: Date | undefined }): ReportSpan {
  const to = asked.to ?? new Date();
  const from = asked.from ?? new Date(Math.floor(to.getTime() / DAY_MS - DAYS_UNLESS_TOLD) * DAY_MS);
  if (from >= to) {
    throw invalidField(asked.to === undefined ? '/from' : '/to', 'must leave time between from and to');
  }
  return { from, to };
}

/** @throws Problem 422 where the span is longer than a report of this kind may be. */
export function requireDays({ from, to }: ReportSpan, daysMax: number, groupBy: string): void {
  if (to.getTime() - from.getTime() <= daysMax * DAY_MS) return;
  throw invalidField('/from', `must be at most ${daysMax} days before to where groupBy is ${groupBy}`);
}

/** What is told of a report that would have too many rows. */
export function tooManyRows(): Problem {
  return invalidField(
    '/groupBy',
    `makes more than ${ROWS_MAX} rows: bring from and to closer together, filter, or group by less`,
  );
}

/** The UTC day of an instant, such as 2026-11-21. */
export function dayOf(instant: Date): string {
  return instant.toISOString().slice(0, 10);
}
