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
  /** Whether an active token of the same name was revoked for it. */
  readonly replaced: boolean;
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
    const replaced = await findActive(client, name);
    const { id, token } = await renewOperatorToken((text, params) => client.query(text, params), {
      name,
      access: 'full',
      hashToken: (secret) => masterKey.hashSecret(OPERATOR_TOKEN_USE, secret),
    });
    const others = revokeOthers ? await revokeAllBut(client, id) : [];
    await client.query(
      'INSERT INTO tollgate.audit_log (actor, action, target, after) VALUES ($1, $2, $3, $4)',
      [
        ACTOR,
        'operator_token.reset',
        `operator_token/${id}`,
        JSON.stringify({ id, name, access: 'full', revoked: [...replaced, ...others] }),
      ],
    );
    await client.query('COMMIT');
    return { token, replaced: replaced.length > 0, revoked: others.map((other) => other.name) };
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    // A connection that failed is thrown away: its transaction may still be open.
    client.release(failure !== undefined);
  }
}

/** A token that a reset ends, as the audit row names it. */
interface RevokedToken {
  readonly id: string;
  readonly name: string;
}

/** The active token of this name, locked until the transaction ends: none or one. */
async function findActive(client: PoolClient, name: string): Promise<RevokedToken[]> {
  const { rows } = await client.query<RevokedToken>(
    'SELECT id, name FROM tollgate.operator_token WHERE name = $1 AND revoked_at IS NULL FOR UPDATE',
    [name],
  );
  return rows;
}

async function revokeAllBut(client: PoolClient, id: string): Promise<RevokedToken[]> {
  const { rows } = await client.query<RevokedToken>(
    'UPDATE tollgate.operator_token SET revoked_at = now() WHERE revoked_at IS NULL AND id <> $1 RETURNING id, name',
    [id],
  );
  return rows.sort((one, other) => (one.name < other.name ? -1 : 1));
}
