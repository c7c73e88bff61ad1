import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import type { Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { findApiKeyByHash } from './api-key-row.js';
import { loadCatalogRows, readCatalogVersion } from './catalog-rows.js';
import { createPool } from './pool.js';
import { readPrice } from './price-row.js';
import { DEFAULT_SETTINGS } from './settings.js';

// Real: Postgres, as the application role.

let database: TestDatabase;
let app: Pool;

beforeEach(async () => {
  database = await createTestDatabase();
  app = createPool({ url: database.appUrl, max: 2, name: 'catalog-spec' });
});

afterEach(async () => {
  await app.end();
  await database.drop();
});

async function newModel(id: string): Promise<void> {
  await app.query(
    'INSERT INTO tollgate.model (id, context_tokens, output_tokens_max) VALUES ($1, 8000, 500)',
    [id],
  );
}

async function newDeployment(name: string, status = 'active'): Promise<string> {
  const id = uuidv7();
  await app.query(
    `INSERT INTO tollgate.deployment (id, name, provider, base_url, credential, status, apis, settings)
       VALUES ($1, $2, 'openai', 'http://upstream.test/v1', 'sealed', $3, '{chat}', '{"timeoutMs": 5}')`,
    [id, name, status],
  );
  return id;
}

async function newPrice(row: { model: string; plan?: string; rate: string; from: string }): Promise<string> {
  const id = uuidv7();
  await app.query(
    `INSERT INTO tollgate.price (id, model, plan, rates, per_request, minimum_charge, effective_from)
       VALUES ($1, $2, $3, $4, 7, 8999999999999999, now() + $5::interval)`,
    [id, row.model, row.plan ?? 'default', JSON.stringify({ input: row.rate, output: '600000' }), row.from],
  );
  return id;
}

describe('loadCatalogRows', () => {
  it('reads an empty catalog', async () => {
    expect(await loadCatalogRows(app)).toEqual({
      version: 1n,
      settings: DEFAULT_SETTINGS,
      models: [],
      deployments: [],
      prices: [],
      nextPriceInMs: null,
    });
  });

  it('reads models, active deployments with what they serve, and prices with exact amounts', async () => {
    await newModel('small');
    const deploymentId = await newDeployment('first');
    await newDeployment('off', 'disabled');
    await app.query(
      `INSERT INTO tollgate.deployment_model (deployment_id, model, upstream_model, priority, weight)
         VALUES ($1, 'small', 'small-2026', 2, 3)`,
      [deploymentId],
    );
    const priceId = await newPrice({ model: 'small', rate: '150000', from: '-1 hour' });
    expect(await loadCatalogRows(app)).toEqual({
      version: await readCatalogVersion(app),
      settings: DEFAULT_SETTINGS,
      models: [
        {
          id: 'small',
          displayName: null,
          ownedBy: 'tollgate',
          contextTokens: 8_000,
          outputTokensMax: 500,
          createdAt: expect.any(Date),
        },
      ],
      deployments: [
        {
          id: deploymentId,
          name: 'first',
          provider: 'openai',
          baseUrl: 'http://upstream.test/v1',
          credential: 'sealed',
          apis: ['chat'],
          settings: { timeoutMs: 5 },
          models: [{ model: 'small', upstreamModel: 'small-2026', priority: 2, weight: 3 }],
        },
      ],
      prices: [
        {
          id: priceId,
          model: 'small',
          plan: 'default',
          rates: { input: 150_000n, output: 600_000n },
          perRequestNano: 7n,
          minimumChargeNano: 8_999_999_999_999_999n,
        },
      ],
      nextPriceInMs: null,
    });
  });

  it('leaves out what is deleted, and a deleted model wherever it is served', async () => {
    for (const id of ['kept', 'gone']) await newModel(id);
    const [kept, gone] = [await newDeployment('kept'), await newDeployment('gone')];
    for (const [deploymentId, model] of [
      [kept, 'kept'],
      [kept, 'gone'],
      [gone, 'kept'],
    ]) {
      await app.query(
        'INSERT INTO tollgate.deployment_model (deployment_id, model, upstream_model) VALUES ($1, $2, $2)',
        [deploymentId, model],
      );
    }
    let version = await readCatalogVersion(app);
    for (const table of ['model', 'deployment']) {
      const column = table === 'model' ? 'id' : 'name';
      await app.query(`UPDATE tollgate.${table} SET deleted_at = now() WHERE ${column} = 'gone'`);
      const next = await readCatalogVersion(app);
      expect(next).toBe(version + 1n);
      version = next;
    }
    const { models, deployments } = await loadCatalogRows(app);
    expect(models.map(({ id }) => id)).toEqual(['kept']);
    expect(deployments.map(({ id, models }) => [id, models.map(({ model }) => model)])).toEqual([
      [kept, ['kept']],
    ]);
  });

  it('keeps a deployment of which every model is deleted', async () => {
    await newModel('gone');
    const id = await newDeployment('empty');
    await app.query(
      `INSERT INTO tollgate.deployment_model (deployment_id, model, upstream_model) VALUES ($1, 'gone', 'gone')`,
      [id],
    );
    await app.query('UPDATE tollgate.model SET deleted_at = now()');
    expect(await loadCatalogRows(app)).toMatchObject({ models: [], deployments: [{ id, models: [] }] });
  });

  it('takes the price in force for each model and plan, and says when the next one comes', async () => {
    await newModel('small');
    await newPrice({ model: 'small', rate: '1', from: '-2 days' });
    const inForce = await newPrice({ model: 'small', rate: '2', from: '-1 day' });
    const ofPlan = await newPrice({ model: 'small', plan: 'gold', rate: '3', from: '-3 days' });
    await newPrice({ model: 'small', rate: '4', from: '10 minutes' });
    await newPrice({ model: 'small', plan: 'gold', rate: '5', from: '5 minutes' });
    const { prices, nextPriceInMs } = await loadCatalogRows(app);
    expect(prices.map(({ id }) => id).sort()).toEqual([inForce, ofPlan].sort());
    expect(nextPriceInMs).toBeGreaterThan(4 * 60_000);
    expect(nextPriceInMs).toBeLessThanOrEqual(5 * 60_000);
  });

  it('gives the connection back after a failure', async () => {
    const single = createPool({ url: database.appUrl, max: 1, name: 'catalog-spec-single' });
    const owner = createPool({ url: database.ownerUrl, max: 1, name: 'catalog-spec-owner' });
    await owner.query('ALTER TABLE tollgate.price RENAME TO price_gone');
    await expect(loadCatalogRows(single)).rejects.toMatchObject({ code: '42P01' });
    await owner.query('ALTER TABLE tollgate.price_gone RENAME TO price');
    expect(await loadCatalogRows(single)).toMatchObject({ prices: [] });
    await Promise.all([single.end(), owner.end()]);
  });
});

describe('readPrice', () => {
  const select = async (text: string, params: unknown[]) => (await app.query(text, params)).rows;

  it('finds a price by its id, also one that is no longer in force', async () => {
    await newModel('small');
    const old = await newPrice({ model: 'small', rate: '1', from: '-2 days' });
    await newPrice({ model: 'small', rate: '2', from: '-1 day' });
    expect(await readPrice(select, old)).toEqual({
      id: old,
      model: 'small',
      plan: 'default',
      rates: { input: 1n, output: 600_000n },
      perRequestNano: 7n,
      minimumChargeNano: 8_999_999_999_999_999n,
    });
    expect(await readPrice(select, uuidv7())).toBeNull();
  });
});

describe('the version of the catalog', () => {
  it('rises with each change of what gateways cache, and with no movement of money', async () => {
    const accountId = uuidv7();
    const keyId = uuidv7();
    const rising = [
      `INSERT INTO tollgate.model (id) VALUES ('m')`,
      `UPDATE tollgate.model SET owned_by = 'x'`,
      `INSERT INTO tollgate.price (id, model, rates, effective_from) VALUES ('${uuidv7()}', 'm', '{}', now())`,
    ];
    const ofAccounts = [
      `INSERT INTO tollgate.api_key (id, account_id, name, prefix, last4, key_hash)
         VALUES ('${keyId}', '${accountId}', 'x', 'sk-1234', 'abcd', 'hash')`,
      `UPDATE tollgate.api_key SET status = 'revoked'`,
      `UPDATE tollgate.api_key SET dialect = 'openai'`,
      `UPDATE tollgate.account SET dialect = 'openai'`,
      `UPDATE tollgate.account SET status = 'suspended'`,
      `UPDATE tollgate.account SET plan = 'gold'`,
      `UPDATE tollgate.account SET multiplier_ppm = 2000000`,
    ];
    let version = await readCatalogVersion(app);
    const expectRise = async (statement: string, rise: bigint): Promise<void> => {
      await app.query(statement);
      const now = await readCatalogVersion(app);
      expect({ statement, rise: now - version }).toEqual({ statement, rise });
      version = now;
    };
    for (const statement of rising) await expectRise(statement, 1n);
    await expectRise(`INSERT INTO tollgate.account (id, name) VALUES ('${accountId}', 'x')`, 0n);
    await expectRise(`SELECT tollgate.adjust('top_up', '${uuidv7()}', '${accountId}', 50, NULL, NULL)`, 0n);
    await expectRise(
      `SELECT * FROM tollgate.hold_batch('[{"r": "${uuidv7()}", "a": "${accountId}", "total": 5, "ttl": 90}]')`,
      0n,
    );
    for (const statement of ofAccounts) await expectRise(statement, 1n);
  });

  it('rises in the order in which changes become visible', async () => {
    const [first, second] = [await app.connect(), await app.connect()];
    await first.query('BEGIN');
    await first.query(`INSERT INTO tollgate.model (id) VALUES ('first')`);
    const later = second.query(`INSERT INTO tollgate.model (id) VALUES ('second')`);
    await first.query('COMMIT');
    await later;
    first.release();
    second.release();
    expect(await readCatalogVersion(app)).toBe(3n);
  });
});

describe('findApiKeyByHash', () => {
  it('finds a key with its account, in whatever state they are', async () => {
    const [accountId, keyId] = [uuidv7(), uuidv7()];
    const keyHash = Buffer.from('0123456789abcdef', 'hex');
    await app.query(
      `INSERT INTO tollgate.account (id, name, status, plan, multiplier_ppm) VALUES ($1, 'x', 'suspended', 'gold', 900000)`,
      [accountId],
    );
    await app.query(
      `INSERT INTO tollgate.api_key (id, account_id, name, prefix, last4, key_hash, allowed_models, status, expires_at)
         VALUES ($1, $2, 'x', 'sk-1234', 'abcd', $3, '{small,large}', 'disabled', '2027-01-01T00:00:00Z')`,
      [keyId, accountId, keyHash],
    );
    expect(await findApiKeyByHash(app, keyHash)).toEqual({
      id: keyId,
      status: 'disabled',
      expiresAt: new Date('2027-01-01T00:00:00Z'),
      allowedModels: ['small', 'large'],
      account: { id: accountId, status: 'suspended', plan: 'gold', multiplierPpm: 900_000 },
      dialect: null,
    });
  });

  it('finds the dialect of the key, else of its account', async () => {
    const [accountId, keyId] = [uuidv7(), uuidv7()];
    const keyHash = Buffer.from('0123456789abcdee', 'hex');
    await app.query(`INSERT INTO tollgate.account (id, name, dialect) VALUES ($1, 'x', 'first')`, [
      accountId,
    ]);
    await app.query(
      `INSERT INTO tollgate.api_key (id, account_id, name, prefix, last4, key_hash)
         VALUES ($1, $2, 'x', 'sk-1234', 'abcd', $3)`,
      [keyId, accountId, keyHash],
    );
    expect(await findApiKeyByHash(app, keyHash)).toMatchObject({ dialect: 'first' });
    await app.query(`UPDATE tollgate.api_key SET dialect = 'second' WHERE id = $1`, [keyId]);
    expect(await findApiKeyByHash(app, keyHash)).toMatchObject({ dialect: 'second' });
    await expect(
      app.query(`UPDATE tollgate.api_key SET dialect = '' WHERE id = $1`, [keyId]),
    ).rejects.toMatchObject({
      constraint: 'api_key_dialect_well_formed',
    });
  });

  it('finds nothing for a hash that no key has', async () => {
    expect(await findApiKeyByHash(app, Buffer.from('00', 'hex'))).toBeNull();
  });
});
