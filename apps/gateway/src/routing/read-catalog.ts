import type { CatalogRows, DeploymentRow } from '@tollgate/persistence';
import type { Logger, MasterKey } from '@tollgate/runtime';
import type { Price } from '@tollgate/pricing';
import { parseUpstreamUrl, type PrivateNetworks } from '@tollgate/providers';
import type { RefusedUpstreams } from '../upstream/refused-upstreams.js';
import { Catalog, type CatalogModel, type Deployment } from './catalog.js';

const FIRST_BYTE_TIMEOUT_MS = 600_000;

/** What the rows are made into a catalog with. */
export interface CatalogTools {
  readonly masterKey: MasterKey;
  readonly logger: Logger;
  readonly privateNetworks: PrivateNetworks;
  readonly refusedUpstreams: RefusedUpstreams;
}

/**
 * Makes the snapshot that requests are resolved against out of the database's rows. A deployment whose credential cannot
 * be opened is left out and logged: the others go on serving. One whose literal address may not be connected to stays,
 * so that its model is not unknown, and is warned of before the first request fails.
 */
export function readCatalog(rows: CatalogRows, tools: CatalogTools): Catalog {
  const deployments = readDeployments(rows, tools);
  const prices = readPrices(rows);
  const models = rows.models.map((row): [string, CatalogModel] => [
    row.id,
    {
      name: row.id,
      displayName: row.displayName ?? row.id,
      ownedBy: row.ownedBy,
      createdAtMs: row.createdAt.getTime(),
      contextTokens: row.contextTokens,
      outputTokensMax: row.outputTokensMax,
      deployments: deployments.get(row.id) ?? [],
      prices: prices.get(row.id) ?? new Map<string, Price>(),
    },
  ]);
  return new Catalog(rows.version, new Map(models), rows.nextPriceInMs, rows.settings);
}

function readDeployments(rows: CatalogRows, tools: CatalogTools): Map<string, Deployment[]> {
  const byModel = new Map<string, Deployment[]>();
  for (const row of rows.deployments) {
    const upstream = readUpstream(row, tools);
    if (upstream === null) continue;
    for (const { model, upstreamModel, priority, weight } of row.models) {
      const list = byModel.get(model) ?? [];
      byModel.set(model, list);
      list.push({ ...upstream, upstreamModel, priority, weight });
    }
  }
  return byModel;
}

function readUpstream(
  row: DeploymentRow,
  { masterKey, logger, privateNetworks, refusedUpstreams }: CatalogTools,
): Omit<Deployment, 'upstreamModel' | 'priority' | 'weight'> | null {
  try {
    const url = new URL(row.baseUrl);
    const { problem } = parseUpstreamUrl(row.baseUrl, privateNetworks);
    if (problem !== null) {
      refusedUpstreams.warn({ id: row.id, origin: url.origin, reason: `the base URL ${problem}` });
    }
    return {
      id: row.id,
      name: row.name,
      origin: url.origin,
      basePath: url.pathname.replace(/\/+$/, ''),
      apis: row.apis,
      credential: masterKey.open('credential', row.credential),
      firstByteTimeoutMs: firstByteTimeoutMs(row.settings),
      forwardTraceContext: row.settings.forwardTraceContext === true,
    };
  } catch (error) {
    logger.error({ err: error, deploymentId: row.id }, 'a deployment cannot be used');
    return null;
  }
}

function firstByteTimeoutMs(settings: { readonly [name: string]: unknown }): number {
  const value = settings.firstByteTimeoutMs;
  return typeof value === 'number' && value > 0
    ? Math.min(value, FIRST_BYTE_TIMEOUT_MS)
    : FIRST_BYTE_TIMEOUT_MS;
}

function readPrices(rows: CatalogRows): Map<string, Map<string, Price>> {
  const byModel = new Map<string, Map<string, Price>>();
  for (const price of rows.prices) {
    const plans = byModel.get(price.model) ?? new Map<string, Price>();
    byModel.set(price.model, plans.set(price.plan, price));
  }
  return byModel;
}
