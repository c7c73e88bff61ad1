import type { ApiKeyStatus } from './entities/api-key.entity.js';
import type { Connection } from './read-snapshot.js';

/** An API key as its holder may see it. */
export interface ApiKeyProfile {
  readonly id: string;
  readonly name: string;
  /** The key's first 7 characters, and its last 4. */
  readonly prefix: string;
  readonly last4: string;
  readonly status: ApiKeyStatus;
  /** Models that the key may use: null is all of them, [] none. */
  readonly allowedModels: readonly string[] | null;
  readonly expiresAt: Date | null;
  readonly createdAt: Date;
  readonly account: { readonly id: string; readonly name: string };
}

type ApiKeyProfileColumns = Omit<ApiKeyProfile, 'account'> & {
  readonly accountId: string;
  readonly accountName: string;
};

/** The key with this id; null if there is none. */
export async function readApiKeyProfile(
  connection: Connection,
  apiKeyId: string,
): Promise<ApiKeyProfile | null> {
  const { rows } = await connection.query<ApiKeyProfileColumns>(
    `SELECT k.id, k.name, k.prefix, k.last4, k.status, k.allowed_models AS "allowedModels", k.expires_at AS "expiresAt",
            k.created_at AS "createdAt", a.id AS "accountId", a.name AS "accountName"
       FROM tollgate.api_key k JOIN tollgate.account a ON a.id = k.account_id WHERE k.id = $1`,
    [apiKeyId],
  );
  const row = rows[0];
  if (row === undefined) return null;
  const { accountId, accountName, ...key } = row;
  return { ...key, account: { id: accountId, name: accountName } };
}
