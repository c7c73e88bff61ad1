import { stringify } from 'csv-stringify/sync';
import { z } from 'zod';

export const EXPORT_FORMATS = ['csv', 'jsonl'] as const;

export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** The parameter of every export; spread it into the query schema of one. */
export const exportParameters = {
  /** Without it the `Accept` header decides, and without that it is CSV. */
  format: z.enum(EXPORT_FORMATS).optional(),
};

/** RFC 4180; the other is one JSON value to a line (https://jsonlines.org, https://github.com/ndjson/ndjson-spec). */
export const EXPORT_CONTENT_TYPES = {
  csv: 'text/csv; charset=utf-8',
  jsonl: 'application/x-ndjson; charset=utf-8',
} as const satisfies Record<ExportFormat, string>;

/** The media types of exports, for the API's description. */
export const EXPORT_MEDIA_TYPES = ['text/csv', 'application/x-ndjson'] as const;

export type Cell = string | number | boolean | null;

/** What a row of an export looks like in each format. */
export interface ExportShape<Item> {
  readonly columns: readonly string[];
  /** The item's cells in the order of the columns. */
  readonly toCells: (item: Item) => readonly Cell[];
}

/** The format that the `Accept` header names first, if it names one at all. */
export function acceptedFormat(accept: string | undefined): ExportFormat {
  const named = /text\/csv|application\/(?:x-ndjson|jsonl|json)/i.exec(accept ?? '')?.[0].toLowerCase();
  return named === undefined || named === 'text/csv' ? 'csv' : 'jsonl';
}

/** What stands before the first row. */
export function exportHead<Item>(format: ExportFormat, shape: ExportShape<Item>): string {
  return format === 'csv' ? csvLines([shape.columns]) : '';
}

/** Items as whole lines. */
export function exportLines<Item>(
  format: ExportFormat,
  shape: ExportShape<Item>,
  items: readonly Item[],
): string {
  if (format === 'jsonl') return items.map((item) => `${JSON.stringify(item)}\n`).join('');
  return csvLines(items.map((item) => shape.toCells(item).map(plainCell)));
}

function csvLines(rows: readonly (readonly Cell[])[]): string {
  return stringify(
    rows.map((row) => row.map((cell) => (typeof cell === 'boolean' ? String(cell) : cell))),
    { record_delimiter: 'windows' },
  );
}

/** What spreadsheets take for the beginning of a formula, also in full width. */
const FORMULA_START = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
/** An amount, which may be negative, is no formula and stays a number. */
const NUMBER = /^-?\d+(\.\d+)?$/;

/**
 * A cell that no spreadsheet runs (https://owasp.org/www-community/attacks/CSV_Injection): text that begins like a
 * formula gets an apostrophe in front of it.
 */
function plainCell(cell: Cell): Cell {
  if (typeof cell !== 'string' || !FORMULA_START.test(cell) || NUMBER.test(cell)) return cell;
  return `'${cell}`;
}
