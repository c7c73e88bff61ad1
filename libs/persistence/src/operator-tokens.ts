import { randomInt } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { OperatorAccess } from './entities/operator-token.entity.js';

/** The use under which the master key hashes operator tokens: `masterKey.hashSecret(OPERATOR_TOKEN_USE, token)`. */
export const OPERATOR_TOKEN_USE = 'operator-token';

const PREFIX = 'tgop_';
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const RANDOM_LENGTH = 48;
const LAST_LENGTH = 4;

/** Runs one statement: of `pg`'s client or pool, or of TypeORM's manager, and so in whatever transaction that is. */
export type RunStatement = (text: string, params: unknown[]) => Promise<unknown>;

export interface NewOperatorToken {
  readonly name: string;
  readonly access: OperatorAccess;
  /** The HMAC of a token with the key of `OPERATOR_TOKEN_USE`. */
  readonly hashToken: (token: string) => Buffer;
}

export interface MadeOperatorToken {
  readonly id: string;
  /** The secret itself. Only its HMAC is stored: this is the one chance to see it. */
  readonly token: string;
}

/**
 * Makes an operator token: `tgop_` and 48 base62 characters.
 * @throws the driver's error with the constraint `operator_token_active_name_key` if an active token has the name.
 */
export async function makeOperatorToken(
  run: RunStatement,
  { name, access, hashToken }: NewOperatorToken,
): Promise<MadeOperatorToken> {
  const token = `${PREFIX}${randomBase62(RANDOM_LENGTH)}`;
  const id = uuidv7();
  await run(
    'INSERT INTO tollgate.operator_token (id, name, access, token_hash, last4) VALUES ($1, $2, $3, $4, $5)',
    [id, name, access, hashToken(token), token.slice(-LAST_LENGTH)],
  );
  return { id, token };
}

/** Makes an operator token in place of the one that has this name, if there is one. Give it a transaction to do both or none. */
export async function renewOperatorToken(
  run: RunStatement,
  wanted: NewOperatorToken,
): Promise<MadeOperatorToken> {
  await revokeOperatorToken(run, wanted.name);
  return makeOperatorToken(run, wanted);
}

/** Revokes the active token of this name; where there is none, it changes nothing. */
export async function revokeOperatorToken(run: RunStatement, name: string): Promise<void> {
  await run('UPDATE tollgate.operator_token SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL', [
    name,
  ]);
}

function randomBase62(length: number): string {
  return Array.from({ length }, () => ALPHABET.charAt(randomInt(ALPHABET.length))).join('');
}
