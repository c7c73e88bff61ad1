import type { Price } from '@tollgate/pricing';
import type { Pool, PoolClient } from 'pg';
import type { DeploymentProvider } from './entities/deployment.entity.js';
import { toPrice, type PriceColumns } from './price-row.js';
import { readSettings, type Settings } from './settings.js';

export interface ModelRow {
  readonly id: string;
  readonly displayName: string | null;
  readonly ownedBy: string;
  readonly contextTokens: number | null;
  readonly outputTokensMax: number | null;
  readonly createdAt: Date;
}

/** An active deployment with the models that it serves. */
export interface DeploymentRow {
  readonly id: string;
  readonly name: string;
  readonly provider: DeploymentProvider;
  readonly baseUrl: string;
  /** Sealed with the master key. */
  readonly credential: string;
  readonly apis: readonly string[] | null;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly models: readonly DeploymentModelRow[];
}

export interface DeploymentModelRow {
  readonly model: string;
  readonly upstreamModel: string;
  readonly priority: number;
  readonly weight: number;
}

/** All that routing and pricing need, as of one moment by Postgres' clock. What is deleted is not in it. */
export interface CatalogRows {
  readonly version: bigint;
  readonly models: readonly ModelRow[];
  readonly deployments: readonly DeploymentRow[];
  /** The prices in force: at most one for each model and plan. */
  readonly prices: readonly Price[];
  readonly settings: Settings;
  /** Milliseconds until the next price comes into force; null if none is waiting. */
  readonly nextPriceInMs: number | null;
}

/** The version of the catalog now. It rises with every change of what gateways cache, API keys and accounts included. */
export async function readCatalogVersion(pool: Pool): Promise<bigint> {
  return selectVersion(pool);
}

/**
 * Reads the catalog in one snapshot. Which price is in force is decided by Postgres' clock, never by the gateway's: two
 * gateways must not charge differently because their clocks do not agree.
 */
export async function loadCatalogRows(pool: Pool): Promise<CatalogRows> {
  const client = await pool.connect();
  let failure: unknown;
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const rows = {
      version: await selectVersion(client),
      models: await selectModels(client),
      deployments: await selectDeployments(client),
      prices: await selectPrices(client),
      settings: await readSettings(client),
      nextPriceInMs: await selectNextPrice(client),
    };
    await client.query('COMMIT');
    return rows;
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    // A connection that failed is thrown away: its transaction may still be open.
    client.release(failure !== undefined);
  }
}

async function selectVersion(database: Pool | PoolClient): Promise<bigint> {
  const { rows } = await database.query<{ version: string }>('SELECT version FROM tollgate.catalog_version');
  const row = rows[0];
  if (row === undefined) throw new Error('tollgate.catalog_version is empty: the database was not migrated');
  return BigInt(row.version);
}

async function selectModels(client: PoolClient): Promise<ModelRow[]> {
  const { rows } = await client.query<ModelRow>(
    `SELECT id, display_name AS "displayName", owned_by AS "ownedBy", context_tokens AS "contextTokens",
            output_tokens_max AS "outputTokensMax", created_at AS "createdAt"
       FROM tollgate.model WHERE deleted_at IS NULL ORDER BY id`,
  );
  return rows;
}

async function selectDeployments(client: PoolClient): Promise<DeploymentRow[]> {
  const { rows } = await client.query<DeploymentRow>(
    `SELECT d.id, d.name, d.provider, d.base_url AS "baseUrl", d.credential, d.apis, d.settings,
            COALESCE(jsonb_agg(jsonb_build_object('model', m.model, 'upstreamModel', m.upstream_model,
                'priority', m.priority, 'weight', m.weight) ORDER BY m.model) FILTER (WHERE m.model IS NOT NULL), '[]') AS models
       FROM tollgate.deployment d LEFT JOIN (tollgate.deployment_model m
              JOIN tollgate.model ON model.id = m.model AND model.deleted_at IS NULL) ON m.deployment_id = d.id
      WHERE d.status = 'active' AND d.deleted_at IS NULL GROUP BY d.id ORDER BY d.id`,
  );
  return rows;
}

async function selectPrices(client: PoolClient): Promise<Price[]> {
  const { rows } = await client.query<PriceColumns>(
    `SELECT DISTINCT ON (model, plan) id, model, plan, rates, per_request, minimum_charge
       FROM tollgate.price WHERE effective_from <= now() ORDER BY model, plan, effective_from DESC`,
  );
  return rows.map(toPrice);
}

async function selectNextPrice(client: PoolClient): Promise<number | null> {
  const { rows } = await client.query<{ in_ms: number | null }>(
    `SELECT ceil(extract(epoch FROM min(effective_from) - now()) * 1000)::float8 AS in_ms
       FROM tollgate.price WHERE effective_from > now()`,
  );
  return rows[0]?.in_ms ?? null;
}
