import type { MasterKey } from '@tollgate/runtime';
import type { Client } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { randomBase62 } from '../data-folder/base62.js';

const TOKEN_LENGTH = 48;

/**
 * Makes an operator token in place of all that had this name. Only its HMAC is stored: the return value is the one
 * chance to see it.
 */
export async function renewOperatorToken(options: {
  client: Client;
  masterKey: MasterKey;
  name: string;
}): Promise<string> {
  const { client, masterKey, name } = options;
  const token = `tgop_${randomBase62(TOKEN_LENGTH)}`;
  await revokeOperatorTokens(client, name);
  await client.query('INSERT INTO tollgate.operator_token (id, name, token_hash) VALUES ($1, $2, $3)', [
    uuidv7(),
    name,
    masterKey.hashSecret('operator-token', token),
  ]);
  return token;
}

/** Revokes the tokens of this name. */
export async function revokeOperatorTokens(client: Client, name: string): Promise<void> {
  await client.query(
    'UPDATE tollgate.operator_token SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL',
    [name],
  );
}
