import type { Pool } from 'pg';
import type { AccountStatus } from './entities/account.entity.js';
import type { ApiKeyStatus } from './entities/api-key.entity.js';

/** An API key with what the gateway needs to know of its account. */
export interface ApiKeyRow {
  readonly id: string;
  readonly status: ApiKeyStatus;
  readonly expiresAt: Date | null;
  /** Models that the key may use: null is all of them, [] none. */
  readonly allowedModels: readonly string[] | null;
  readonly account: {
    readonly id: string;
    readonly status: AccountStatus;
    readonly plan: string;
    readonly multiplierPpm: number;
  };
  /** The name of the key's dialect of the API, else of its account's; null where neither has one. */
  readonly dialect: string | null;
}

interface ApiKeyColumns {
  readonly id: string;
  readonly status: ApiKeyStatus;
  readonly expires_at: Date | null;
  readonly allowed_models: readonly string[] | null;
  readonly account_id: string;
  readonly account_status: AccountStatus;
  readonly plan: string;
  readonly multiplier_ppm: number;
  readonly dialect: string | null;
}

/** Finds the key with this HMAC, in whatever state it and its account are; null if there is none. */
export async function findApiKeyByHash(pool: Pool, keyHash: Buffer): Promise<ApiKeyRow | null> {
  const { rows } = await pool.query<ApiKeyColumns>(
    `SELECT k.id, k.status, k.expires_at, k.allowed_models, k.account_id, a.status AS account_status, a.plan,
            a.multiplier_ppm, coalesce(k.dialect, a.dialect) AS dialect
       FROM tollgate.api_key k JOIN tollgate.account a ON a.id = k.account_id WHERE k.key_hash = $1`,
    [keyHash],
  );
  const row = rows[0];
  if (row === undefined) return null;
  return {
    id: row.id,
    status: row.status,
    expiresAt: row.expires_at,
    allowedModels: row.allowed_models,
    account: {
      id: row.account_id,
      status: row.account_status,
      plan: row.plan,
      multiplierPpm: row.multiplier_ppm,
    },
    dialect: row.dialect,
  };
}
