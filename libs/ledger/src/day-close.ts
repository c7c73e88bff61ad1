import { readBigint, readText, type Row, type Sql } from './sql.js';

/** A day of UTC whose transfers are closed. */
export interface ClosedDay {
  /** As 2026-11-21. */
  readonly day: string;
  readonly transferCount: bigint;
  /** SHA-256 over the day's transfers and the hash of the day before, in hexadecimal. */
  readonly hash: string;
}

const COLUMNS = `to_char(day, 'YYYY-MM-DD') AS day, count, encode(hash, 'hex') AS hash`;

export interface CloseDaysOptions {
  /** How long a transaction may run past the end of a day before its transfers are left to the next day. */
  readonly patienceSeconds: number;
  readonly daysMax: number;
}

/**
 * Closes the days that are over, oldest first. A day is closed at the second call after its end, because the first one notes which
 * transactions have to end before.
 */
export async function closeDays(sql: Sql, options: CloseDaysOptions): Promise<ClosedDay[]> {
  const { patienceSeconds, daysMax } = options;
  const rows = await sql(`SELECT ${COLUMNS} FROM tollgate.close_days(make_interval(secs => $1), $2)`, [
    patienceSeconds,
    daysMax,
  ]);
  return rows.map(toClosedDay);
}

/** Every closed day, oldest first. */
export async function listClosedDays(sql: Sql): Promise<ClosedDay[]> {
  const rows = await sql(`SELECT ${COLUMNS} FROM tollgate.day_close ORDER BY tollgate.day_close.day`);
  return rows.map(toClosedDay);
}

/** What speaks against the close of a day, as sentences; nothing, if no transfer of it was changed since. */
export async function verifyDay(sql: Sql, day: string): Promise<string[]> {
  const rows = await sql('SELECT tollgate.day_close_violations($1) AS problem', [day]);
  return rows.map((row) => readText(row, 'problem'));
}

function toClosedDay(row: Row): ClosedDay {
  return {
    day: readText(row, 'day'),
    transferCount: readBigint(row, 'count'),
    hash: readText(row, 'hash'),
  };
}
