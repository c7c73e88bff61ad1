import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Sql } from './sql.js';

/** Where an event does not say which request it is of. */
const NO_REQUEST = '00000000-0000-0000-0000-000000000000';

export interface QuarantinedEvent {
  /** The event as it came, readable or not. */
  readonly body: unknown;
  /** A code or a sentence: what is wrong with it. */
  readonly reason: string;
  /** SHA-256 of the event; of the body as JSON unless told. */
  readonly bodyHash?: Buffer;
}

/** Puts an event aside that can never settle, for a person to decide. The same event again changes nothing. */
export async function quarantineEvent(sql: Sql, event: QuarantinedEvent): Promise<void> {
  const text = JSON.stringify(event.body ?? null);
  const bodyHash = event.bodyHash ?? createHash('sha256').update(text).digest();
  const requestId = z.object({ requestId: z.guid() }).safeParse(event.body);
  await sql('SELECT tollgate.quarantine_event($1, $2, $3, $4)', [
    requestId.success ? requestId.data.requestId : NO_REQUEST,
    bodyHash,
    storable(event.reason),
    JSON.stringify(storable(event.body ?? null)),
  ]);
}

/** Postgres cannot store the letter NUL nor half a surrogate pair, not even escaped in JSON. */
function storable<T>(value: T): T;
function storable(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(/[\0\p{Surrogate}]/gu, '\uFFFD');
  if (Array.isArray(value)) return value.map((entry: unknown) => storable(entry));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [storable(key), storable(entry)]));
}
