import { z } from 'zod';
import { isKnownYear, textParameter } from './query-parameters.js';

const DAY = /^(\d{4})-(\d{1,2})-(\d{1,2})$/;
const DAY_PROBLEM = 'expected a day such as 2026-01-31, between the years 2000 and 2200';

/** A day by UTC, as its midnight. */
const day = textParameter.transform((text, context) => {
  const midnight = readDay(text);
  if (midnight !== null) return midnight;
  context.addIssue({ code: 'custom', message: DAY_PROBLEM, input: text });
  return z.NEVER;
});

/** What the billing pages ask their usage with. Whatever else old clients add to it is ignored. */
export const dashboardQuerySchema = z.object({ start_date: day.optional(), end_date: day.optional() });

export type DashboardQuery = z.infer<typeof dashboardQuerySchema>;

function readDay(text: string): Date | null {
  const [, year, month, dayOfMonth] = (DAY.exec(text) ?? []).map(Number);
  if (year === undefined || month === undefined || dayOfMonth === undefined) return null;
  const midnight = new Date(Date.UTC(year, month - 1, dayOfMonth));
  // Date.UTC carries the 31st of a short month over into the next one, and takes years below 100 for the 20th century.
  const isReal = midnight.getUTCMonth() === month - 1 && midnight.getUTCDate() === dayOfMonth;
  return isReal && isKnownYear(midnight) ? midnight : null;
}
