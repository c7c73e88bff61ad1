import { createHash } from 'node:crypto';
import { IdempotencyRecordEntity } from '@tollgate/persistence';
import type { EntityManager } from 'typeorm';
import { Problem } from '../http/problem.js';

/** One money call as its caller named it. A key is the caller's own within one account and route. */
export interface IdempotentCall {
  readonly accountId: string;
  readonly route: string;
  readonly key: string;
  /** The body as it was sent: a default that changes later must not make another call of it. */
  readonly body: unknown;
}

/** The same text for equal calls, and for no others. */
export function nameOfCall({ accountId, route, key, body }: IdempotentCall): string {
  return JSON.stringify([accountId, route, key, hashBody(body).toString('base64')]);
}

/**
 * The answer that this call got before, or null if it is new. Needs the account's lock, so that of two calls at once
 * the second sees what the first stored.
 * @throws Problem 409 if the key belongs to a call with another body.
 */
export async function findStoredAnswer(manager: EntityManager, call: IdempotentCall): Promise<unknown> {
  const { accountId, route, key, body } = call;
  const record = await manager.findOneBy(IdempotencyRecordEntity, { accountId, route, key });
  if (record === null) return null;
  if (record.bodyHash.equals(hashBody(body))) return record.answer;
  throw new Problem('idempotency_key_reused', 'This Idempotency-Key was used with another body.');
}

/** Keeps the answer of a call, for ever, in the transaction that did what it says. */
export async function storeAnswer(
  manager: EntityManager,
  call: IdempotentCall,
  answer: object,
): Promise<void> {
  const { accountId, route, key, body } = call;
  await manager.insert(IdempotencyRecordEntity, { accountId, route, key, bodyHash: hashBody(body), answer });
}

function hashBody(body: unknown): Buffer {
  return createHash('sha256').update(canonicalJson(body)).digest();
}

/** JSON with the fields of every object in one order, so that only what is said counts, not how it is laid out. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
