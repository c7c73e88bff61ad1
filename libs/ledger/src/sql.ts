import assert from 'node:assert/strict';
import type { Pool } from 'pg';

/** One row as the driver hands it out: bigint columns as strings. */
export type Row = Readonly<Record<string, unknown>>;

/**
 * Runs one statement: `poolSql(pool)`, or `(text, params) => manager.query(text, params)` to take part in a transaction
 * of TypeORM.
 */
export type Sql = (text: string, params?: unknown[]) => Promise<Row[]>;

/** Each statement on its own, in a transaction of its own. */
export function poolSql(pool: Pool): Sql {
  return async (text, params) => (await pool.query<Row>(text, params)).rows;
}

/** A bigint parameter. Beyond what the column can hold, every function refuses the largest number just the same. */
export function int8(value: bigint): string {
  const inRange = value > INT8_MAX ? INT8_MAX : value < -INT8_MAX ? -INT8_MAX : value;
  return inRange.toString();
}

const INT8_MAX = 2n ** 63n - 1n;

/** A column that is text or uuid, and not null. */
export function readText(row: Row, column: string): string {
  const value = row[column];
  assert(typeof value === 'string', `${column} is text`);
  return value;
}

export function readTextOrNull(row: Row, column: string): string | null {
  return row[column] === null ? null : readText(row, column);
}

/** A bigint column, which may come as a string or as a bigint. */
export function readBigint(row: Row, column: string): bigint {
  const value = row[column];
  assert(typeof value === 'string' || typeof value === 'bigint', `${column} is a bigint`);
  return BigInt(value);
}

export function readDate(row: Row, column: string): Date {
  const value = row[column];
  assert(value instanceof Date, `${column} is a point in time`);
  return value;
}
