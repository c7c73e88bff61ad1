import { createHmac } from 'node:crypto';
import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { Client, type Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { assertMasterKey, ensureMasterKey, type CheckedMasterKey } from './master-key-check.js';
import { createPool } from './pool.js';

// Real: Postgres; the key is checked as the owner and as the application role.

function keyOf(name: string): CheckedMasterKey {
  return {
    keyId: name,
    hashSecret: (use, secret) => createHmac('sha256', name).update(`${use}:${secret}`).digest(),
  };
}

const key = keyOf('first');
const other = keyOf('other');

let database: TestDatabase;
let owner: Client;
let pool: Pool;

beforeEach(async () => {
  database = await createTestDatabase();
  owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
  pool = createPool({ url: database.appUrl, max: 1, name: 'master-key-spec' });
});

afterEach(async () => {
  await Promise.all([pool.end(), owner.end()]);
  await database.drop();
});

describe('the master key of an installation', () => {
  it('is noted by the first who has the database, and nobody starts with another', async () => {
    await ensureMasterKey(owner, key);
    await ensureMasterKey(owner, key);
    await expect(ensureMasterKey(owner, other)).rejects.toThrow(/Restore the key/);
    await assertMasterKey(pool, key);
    await expect(assertMasterKey(pool, other)).rejects.toThrow(/Restore the key/);
  });

  it('passes where none is noted yet', async () => {
    await assertMasterKey(pool, other);
    await ensureMasterKey(owner, key);
    await expect(assertMasterKey(pool, other)).rejects.toThrow(/MASTER_KEY is not the key/);
  });

  it('is not noted over credentials that another key sealed', async () => {
    await owner.query(
      "INSERT INTO tollgate.deployment (id, name, provider, base_url, credential) VALUES ($1, 'd', 'openai', 'https://a.example/v1', 'v1.other.x.y')",
      [uuidv7()],
    );
    await expect(ensureMasterKey(owner, key)).rejects.toThrow(/Restore the key/);
    await ensureMasterKey(owner, other);
  });

  it('is noted once when two start at once', async () => {
    const second = new Client({ connectionString: database.ownerUrl });
    await second.connect();
    const both = await Promise.allSettled([ensureMasterKey(owner, key), ensureMasterKey(second, other)]);
    await second.end();
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });
});
