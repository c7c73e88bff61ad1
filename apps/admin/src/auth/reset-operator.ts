import { OPERATOR_TOKEN_USE, renewOperatorToken } from '@tollgate/persistence';
import type { MasterKey } from '@tollgate/runtime';
import type { Pool, PoolClient } from 'pg';

const ACTOR = 'system:operator-reset';

export interface OperatorReset {
  /** Whom the new token belongs to; an active token of this name is replaced. */
  readonly name: string;
  /** Revokes the tokens of all other operators too. */
  readonly revokeOthers: boolean;
}

export interface OperatorResetResult {
  /** The new token: shown once, only its HMAC is stored. */
  readonly token: string;
  /** Names of other operators whose tokens were revoked. */
  readonly revoked: readonly string[];
}

/**
 * Makes a token with full access for when nobody has one any more. Whoever can run it has the database and the master key
 * already. One transaction with its audit row.
 */
export async function resetOperator(
  pool: Pool,
  masterKey: MasterKey,
  { name, revokeOthers }: OperatorReset,
): Promise<OperatorResetResult> {
  const client = await pool.connect();
  let failure: unknown;
  try {
    await client.query('BEGIN');
    const { id, token } = await renewOperatorToken((text, params) => client.query(text, params), {
      name,
      access: 'full',
      hashToken: (secret) => masterKey.hashSecret(OPERATOR_TOKEN_USE, secret),
    });
    const revoked = revokeOthers ? await revokeAllBut(client, id) : [];
    await client.query(
      'INSERT INTO tollgate.audit_log (actor, action, target, after) VALUES ($1, $2, $3, $4)',
      [
        ACTOR,
        'operator_token.reset',
        `operator_token/${id}`,
        JSON.stringify({ id, name, access: 'full', revoked }),
      ],
    );
    await client.query('COMMIT');
    return { token, revoked };
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    // A connection that failed is thrown away: its transaction may still be open.
    client.release(failure !== undefined);
  }
}

async function revokeAllBut(client: PoolClient, id: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    'UPDATE tollgate.operator_token SET revoked_at = now() WHERE revoked_at IS NULL AND id <> $1 RETURNING name',
    [id],
  );
  return rows.map((row) => row.name).sort();
}
