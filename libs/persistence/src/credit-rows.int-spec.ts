import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { Client, type Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { readApiKeyProfile } from './api-key-profile.js';
import { readCredits } from './credit-rows.js';
import { createPool } from './pool.js';
import { readSnapshot } from './read-snapshot.js';

// Real: Postgres, read as the application role.

const accountId = uuidv7();
const apiKeyId = uuidv7();

let database: TestDatabase;
let pool: Pool;
let client: Client;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool({ url: database.appUrl, max: 2, name: 'credit-spec' });
  client = new Client({ connectionString: database.ownerUrl });
  await client.connect();
  await client.query("INSERT INTO tollgate.account (id, name) VALUES ($1, 'Ada')", [accountId]);
  await client.query(
    `INSERT INTO tollgate.api_key (id, account_id, name, prefix, last4, key_hash, allowed_models)
     VALUES ($1, $2, 'laptop', 'sk-4fGh', 'x9Qa', '\\x01', '{glm-5}')`,
    [apiKeyId, accountId],
  );
});

afterAll(async () => {
  await Promise.all([pool?.end(), client?.end()]);
  await database?.drop();
});

async function book(kind: string, amountNano: bigint): Promise<void> {
  const { rows } = await client.query<{ outcome: string }>(
    'SELECT outcome FROM tollgate.adjust($1, $2, $3, $4, NULL, NULL)',
    [kind, uuidv7(), accountId, amountNano.toString()],
  );
  expect(rows).toEqual([{ outcome: 'booked' }]);
}

describe('readCredits', () => {
  it('finds nothing in an account that was never given anything', async () => {
    expect(await readCredits(pool, accountId, 5)).toEqual({ grantedNano: 0n, latest: [] });
    expect(await readCredits(pool, uuidv7(), 5)).toEqual({ grantedNano: 0n, latest: [] });
  });

  it('sums what came less what was taken back, and lists what came, newest first', async () => {
    await book('top_up', 100n);
    await book('grant', 30n);
    await book('refund', -20n);
    await book('adjustment', 7n);
    await book('adjustment', -1n);
    const credits = await readCredits(pool, accountId, 2);
    expect(credits).toEqual({
      grantedNano: 116n,
      latest: [
        { seq: 4n, amountNano: 7n, createdAt: expect.any(Date) },
        { seq: 2n, amountNano: 30n, createdAt: expect.any(Date) },
      ],
    });
  });
});

describe('readApiKeyProfile', () => {
  it('reads a key with its account, and nothing where there is none', async () => {
    expect(await readApiKeyProfile(pool, apiKeyId)).toEqual({
      id: apiKeyId,
      name: 'laptop',
      prefix: 'sk-4fGh',
      last4: 'x9Qa',
      status: 'active',
      allowedModels: ['glm-5'],
      expiresAt: null,
      createdAt: expect.any(Date),
      account: { id: accountId, name: 'Ada' },
    });
    expect(await readApiKeyProfile(pool, uuidv7())).toBeNull();
  });
});

describe('readSnapshot', () => {
  const options = { statementTimeoutMs: 200 };

  it('sees one moment, whatever is written meanwhile', async () => {
    const [before, after] = await readSnapshot(pool, options, async (connection) => {
      const first = await readApiKeyProfile(connection, apiKeyId);
      await client.query("UPDATE tollgate.api_key SET name = 'desk' WHERE id = $1", [apiKeyId]);
      return [first?.name, (await readApiKeyProfile(connection, apiKeyId))?.name];
    });
    expect([before, after]).toEqual(['laptop', 'laptop']);
    expect((await readApiKeyProfile(pool, apiKeyId))?.name).toBe('desk');
  });

  it('writes nothing', async () => {
    const writing = readSnapshot(pool, options, (connection) =>
      connection.query("UPDATE tollgate.api_key SET name = 'mine'"),
    );
    await expect(writing).rejects.toMatchObject({ code: '25006' });
  });

  it('gives a statement up that takes too long, and leaves the pool usable', async () => {
    const sleeping = readSnapshot(pool, options, (connection) => connection.query('SELECT pg_sleep(20)'));
    await expect(sleeping).rejects.toMatchObject({ code: '57014' });
    expect((await pool.query('SHOW statement_timeout')).rows).toEqual([{ statement_timeout: '0' }]);
  });
});
