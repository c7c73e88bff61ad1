import { MasterKey } from '@tollgate/runtime';
import { Client } from 'pg';
import { v7 as uuidv7 } from 'uuid';

/** What a test wants to find in its database. */
export interface SeedOptions {
  readonly ownerUrl: string;
  readonly masterKey: string;
  /** Base URLs of upstreams, each a deployment of every model; the first has the highest priority. */
  readonly upstreams: readonly string[];
  readonly model?: string;
  /** Nano-credits. */
  readonly balanceNano?: bigint;
  /** Pico-credits per unit. */
  readonly rates?: Readonly<Record<string, string>>;
  readonly outputTokensMax?: number | null;
  readonly contextTokens?: number | null;
  readonly upstreamSecret?: string;
}

/** An account with a key, and a model that it can pay for. */
export interface SeededInstallation {
  readonly accountId: string;
  readonly apiKeyId: string;
  readonly apiKey: string;
  readonly model: string;
  readonly priceId: string;
  readonly deploymentIds: readonly string[];
}

const DEFAULT_RATES = { input: '150000', output: '600000' };

/** Puts an account with money, a key, a model with its price and its deployments straight into a test's database. */
export async function seedInstallation(options: SeedOptions): Promise<SeededInstallation> {
  const client = new Client({ connectionString: options.ownerUrl });
  await client.connect();
  try {
    const account = await seedAccount(client, options);
    // A gateway that runs hears of all of it at once.
    await client.query('BEGIN');
    const model = await seedModel(client, options);
    await client.query('COMMIT');
    return { ...account, ...model };
  } finally {
    await client.end();
  }
}

async function seedAccount(
  client: Client,
  options: SeedOptions,
): Promise<Pick<SeededInstallation, 'accountId' | 'apiKeyId' | 'apiKey'>> {
  const accountId = uuidv7();
  const apiKeyId = uuidv7();
  const apiKey = `sk-${uuidv7().replaceAll('-', '')}${'x'.repeat(16)}`;
  const keyHash = MasterKey.parse(options.masterKey).hashSecret('api-key', apiKey);
  await client.query('INSERT INTO tollgate.account (id, name) VALUES ($1, $2)', [
    accountId,
    `account ${accountId}`,
  ]);
  await client.query(
    'INSERT INTO tollgate.api_key (id, account_id, name, prefix, last4, key_hash) VALUES ($1, $2, $3, $4, $5, $6)',
    [apiKeyId, accountId, 'test', apiKey.slice(0, 7), apiKey.slice(-4), keyHash],
  );
  const { balanceNano = 1_000_000_000n } = options;
  if (balanceNano > 0n) {
    await client.query("SELECT * FROM tollgate.adjust('top_up', $1, $2, $3, NULL, NULL)", [
      uuidv7(),
      accountId,
      balanceNano.toString(),
    ]);
  }
  return { accountId, apiKeyId, apiKey };
}

async function seedModel(
  client: Client,
  options: SeedOptions,
): Promise<Pick<SeededInstallation, 'model' | 'priceId' | 'deploymentIds'>> {
  const {
    model = 'fake-chat',
    rates = DEFAULT_RATES,
    outputTokensMax = null,
    contextTokens = null,
  } = options;
  await client.query(
    'INSERT INTO tollgate.model (id, output_tokens_max, context_tokens) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
    [model, outputTokensMax, contextTokens],
  );
  const priceId = uuidv7();
  await client.query(
    'INSERT INTO tollgate.price (id, model, rates, effective_from) VALUES ($1, $2, $3, now())',
    [priceId, model, JSON.stringify(rates)],
  );
  const credential = MasterKey.parse(options.masterKey).seal(
    'credential',
    options.upstreamSecret ?? 'upstream-secret',
  );
  const deploymentIds: string[] = [];
  for (const [position, baseUrl] of options.upstreams.entries()) {
    const id = uuidv7();
    await client.query(
      "INSERT INTO tollgate.deployment (id, name, provider, base_url, credential) VALUES ($1, $2, 'openai', $3, $4)",
      [id, `deployment ${id}`, baseUrl, credential],
    );
    await client.query(
      'INSERT INTO tollgate.deployment_model (deployment_id, model, upstream_model, priority) VALUES ($1, $2, $3, $4)',
      [id, model, `upstream-${model}`, options.upstreams.length - position],
    );
    deploymentIds.push(id);
  }
  return { model, priceId, deploymentIds };
}
