import { Inject, Injectable } from '@nestjs/common';
import { MasterKeyError } from '@tollgate/runtime';
import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm';
import { z } from 'zod';
import { ADMIN_CONFIG, type AdminConfig } from '../admin.config.js';
import { invalidField, type Problem } from './problem.js';

const PAGE_SIZE_MAX = 200;
const PAGE_SIZE_DEFAULT = 50;
const LIMIT_MESSAGE = `must be a whole number from 1 to ${PAGE_SIZE_MAX}`;

/** The parameters of every list; spread them into the query schema of a list. */
export const pageParameters = {
  limit: z
    .string()
    .regex(/^\d{1,3}$/, LIMIT_MESSAGE)
    // All parameters of a query are text, but programs that read the document may well know this one as a number.
    .meta({
      type: 'integer',
      minimum: 1,
      maximum: PAGE_SIZE_MAX,
      default: PAGE_SIZE_DEFAULT,
      pattern: undefined,
    })
    .transform(Number)
    .refine((limit) => limit >= 1 && limit <= PAGE_SIZE_MAX, LIMIT_MESSAGE)
    .default(PAGE_SIZE_DEFAULT),
  cursor: z.string().max(2_048).optional().meta({ description: 'The `nextCursor` of the page before.' }),
};

export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface Page<Item> {
  readonly data: Item[];
  /** Gives the next page to the same list; null at the end. */
  readonly nextCursor: string | null;
}

/** How one list is read, newest first. */
export interface Listing<Row extends ObjectLiteral, Item> {
  /** A cursor is good for the list that gave it alone. */
  readonly name: string;
  readonly query: SelectQueryBuilder<Row>;
  /** Property paths whose values, in this order, fall from row to row and are unique together. */
  readonly newestFirst: readonly string[];
  /** Selects the rows after the one at `:position`. */
  readonly after: string;
  readonly positionOf: (row: Row) => string;
  /** Makes an item of a row and of what the query selected beside the row's columns. */
  readonly toItem: (row: Row, raw: unknown) => Item;
}

const CURSOR_USE = 'cursor';
const cursorSchema = z.tuple([z.string(), z.string()]);

/** Reads pages by position (never by offset): rows that come in meanwhile move nothing. */
@Injectable()
export class PageReader {
  constructor(@Inject(ADMIN_CONFIG) private readonly config: AdminConfig) {}

  /** @throws Problem 422 for a cursor that this list did not give. */
  async read<Row extends ObjectLiteral, Item>(
    asked: PageRequest,
    listing: Listing<Row, Item>,
  ): Promise<Page<Item>> {
    const { query, name } = listing;
    if (asked.cursor !== undefined) {
      query.andWhere(listing.after, { position: this.openCursor(name, asked.cursor) });
    }
    for (const property of listing.newestFirst) query.addOrderBy(property, 'DESC');
    // One more than asked tells whether there is a next page.
    const { entities, raw } = await query.limit(asked.limit + 1).getRawAndEntities<unknown>();
    const shown = entities.slice(0, asked.limit);
    const last = entities.length > asked.limit ? shown.at(-1) : undefined;
    return {
      data: shown.map((row, index) => listing.toItem(row, raw[index])),
      nextCursor: last === undefined ? null : this.sealCursor(name, listing.positionOf(last)),
    };
  }

  private sealCursor(name: string, position: string): string {
    return this.config.MASTER_KEY.seal(CURSOR_USE, JSON.stringify([name, position]));
  }

  private openCursor(name: string, cursor: string): string {
    const [listName, position] = this.parseCursor(cursor);
    if (listName !== name) throw badCursor();
    return position;
  }

  private parseCursor(cursor: string): [string, string] {
    try {
      return cursorSchema.parse(JSON.parse(this.config.MASTER_KEY.open(CURSOR_USE, cursor)));
    } catch (error) {
      if (error instanceof MasterKeyError) throw badCursor();
      throw error;
    }
  }
}

function badCursor(): Problem {
  return invalidField('/cursor', 'is not a cursor of this list');
}
