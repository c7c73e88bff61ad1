import { requestIdToWire } from '@tollgate/contracts';
import { getBalance, type Balance, type Row } from '@tollgate/ledger';
import {
  findUsageRow,
  listUsageRows,
  readApiKeyProfile,
  sumCharged,
  type ApiKeyProfile,
  type UsageOwner,
} from '@tollgate/persistence';
import { formatAmount } from '@tollgate/pricing';
import type { PoolClient } from 'pg';
import { mayUse, type Caller } from '../auth/caller.js';
import { GatewayError } from '../relay/gateway-errors.js';
import type { CatalogHolder } from '../routing/catalog-holder.js';
import type { LedgerReads } from './ledger-reads.js';
import { pointsView } from './points-view.js';
import { generationView, type GenerationView } from './usage-view.js';
import { readGenerationId, type UsageQuery } from './usage.schema.js';
import { monthOf } from './utc-days.js';

/** A page of a key's usage, newest first. */
export interface UsagePage {
  readonly object: 'list';
  readonly data: readonly GenerationView[];
  readonly has_more: boolean;
  readonly next_cursor: string | null;
}

/** What the holder of an API key can know of it and of its own requests: never of another key's. */
export class KeySelfService {
  constructor(
    private readonly reads: LedgerReads,
    private readonly catalog: CatalogHolder,
  ) {}

  /** The key, the balance behind it, the models that it can use now, and its usage of this month by UTC. */
  async describeKey(caller: Caller): Promise<object> {
    const { accountId, apiKeyId } = caller;
    const month = monthOf(new Date());
    const { key, balance, usage } = await this.reads.readShared(`key ${apiKeyId}`, async (connection) => ({
      ...(await readKeyAndBalance(connection, caller)),
      usage: await sumCharged(connection, { accountId, apiKeyId, ...month }),
    }));
    const { requests, chargedNano } = usage;
    const models = this.catalog.current
      .list(caller.plan)
      .map(({ model }) => model.name)
      .filter((model) => mayUse(caller, model));
    return {
      object: 'key',
      id: key.id,
      name: key.name,
      redacted_value: redactKey(key),
      account: key.account,
      status: statusOf(key),
      balance: balanceView(balance),
      allowed_models: key.allowedModels,
      models,
      expires_at: key.expiresAt?.toISOString() ?? null,
      created_at: key.createdAt.toISOString(),
      month_to_date: { since: month.from.toISOString(), requests, charged: formatAmount(chargedNano) },
      points: pointsView(this.catalog.current.settings.points, {
        availableNano: balance.availableNano,
        chargedNano,
      }),
    };
  }

  /** A page of the key's settled requests. */
  async listUsage(caller: Caller, query: UsageQuery): Promise<UsagePage> {
    const { cursor, limit, model, from, to } = query;
    const { accountId, apiKeyId } = caller;
    // One more than asked tells whether there is a next page.
    const listing = { accountId, apiKeyId, model, from, to, before: cursor, limit: limit + 1 };
    const rows = await this.reads.read((connection) => listUsageRows(connection, listing));
    const shown = rows.slice(0, limit);
    const last = rows.length > limit ? shown.at(-1) : undefined;
    return {
      object: 'list',
      data: shown.map(generationView),
      has_more: last !== undefined,
      next_cursor: last === undefined ? null : requestIdToWire(last.requestId),
    };
  }

  /**
   * One settled request of the key.
   * @throws GatewayError 404, the same whether the id is unknown, another key's, or not settled yet.
   */
  async readGeneration(caller: Caller, id: string): Promise<GenerationView> {
    const requestId = readGenerationId(id);
    const row =
      requestId === null
        ? null
        : await this.reads.read((connection) => findUsageRow(connection, caller, requestId));
    if (row === null) throw new GatewayError('generation_not_found');
    return generationView(row);
  }
}

/** @throws GatewayError if the key went away since it was authenticated. */
export async function readKeyAndBalance(
  connection: PoolClient,
  caller: UsageOwner,
): Promise<{ key: ApiKeyProfile; balance: Balance }> {
  const key = await readApiKeyProfile(connection, caller.apiKeyId);
  const balance = await getBalance(
    async (text, params) => (await connection.query<Row>(text, params)).rows,
    caller.accountId,
  );
  if (key === null || balance === null) {
    throw new GatewayError('account_deactivated', { reason: 'it does not exist any more' });
  }
  return { key, balance };
}

const SHOWN_HEAD = 3;

/** As much of a key as may be shown: its first 3 and last 4 characters. */
function redactKey({ prefix, last4 }: ApiKeyProfile): string {
  return `${prefix.slice(0, SHOWN_HEAD)}****${last4}`;
}

function statusOf({ status, expiresAt }: ApiKeyProfile): string {
  return status === 'active' && expiresAt !== null && expiresAt.getTime() <= Date.now() ? 'expired' : status;
}

function balanceView(balance: Balance): object {
  return {
    posted: formatAmount(balance.postedNano),
    held: formatAmount(balance.heldNano),
    available: formatAmount(balance.availableNano),
    floor: formatAmount(balance.floorNano),
  };
}
