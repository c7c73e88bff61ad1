import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm';
import { z } from 'zod';

/** `?q=` of a list. */
export const searchField = z.string().min(1).max(200);

/** Keeps the rows where one of the columns holds this text, in any case and taken as it is: it is no pattern. */
export function whereTextIn(
  query: SelectQueryBuilder<ObjectLiteral>,
  columns: readonly string[],
  text: string | undefined,
): void {
  if (text === undefined) return;
  const conditions = columns.map((column) => `${column} ILIKE :searched`);
  query.andWhere(`(${conditions.join(' OR ')})`, { searched: `%${escapeLike(text)}%` });
}

function escapeLike(text: string): string {
  return text.replace(/[\\%_]/g, (character) => `\\${character}`);
}
