import { Client } from 'pg';
import { createTestDatabase, type TestDatabase } from './test-database.js';

async function rows(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('createTestDatabase', () => {
  const made: TestDatabase[] = [];
  const create = async (options?: { empty: boolean }): Promise<TestDatabase> => {
    const database = await createTestDatabase(options);
    made.push(database);
    return database;
  };

  afterAll(() => Promise.all(made.map((database) => database.drop())));

  it('gives every caller a database of its own', async () => {
    const [one, other] = await Promise.all([create({ empty: true }), create({ empty: true })]);
    await rows(one.ownerUrl, 'CREATE TABLE mark (id int)');
    expect(await rows(one.ownerUrl, "SELECT to_regclass('mark') IS NOT NULL AS present")).toEqual([
      { present: true },
    ]);
    expect(await rows(other.ownerUrl, "SELECT to_regclass('mark') IS NOT NULL AS present")).toEqual([
      { present: false },
    ]);
  });

  it('copies the migrated schema and lets the application role in', async () => {
    const database = await create();
    expect(await rows(database.appUrl, 'SELECT count(*)::int AS accounts FROM tollgate.account')).toEqual([
      { accounts: 0 },
    ]);
    await expect(rows(database.appUrl, 'UPDATE tollgate.account SET posted = 1')).rejects.toThrow(
      /permission denied/,
    );
  });

  it('drops a database that still has sessions', async () => {
    const database = await createTestDatabase({ empty: true });
    const idle = new Client({ connectionString: database.ownerUrl });
    idle.on('error', () => undefined);
    await idle.connect();
    await database.drop();
    await expect(rows(database.ownerUrl, 'SELECT 1')).rejects.toThrow(/does not exist/);
    await idle.end().catch(() => undefined);
  });
});
