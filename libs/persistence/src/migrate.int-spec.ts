import { assertSchemaCompatibility } from 'bullmq';
import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { createDataSource } from './data-source.js';
import { migrate } from './migrate.js';
import { MIGRATION_NAMES } from './migrations/migration-list.js';
import { assertSchemaVersion } from './schema-version.js';

// Real: Postgres, with an empty database and a role of its own for each test.

let database: TestDatabase;
let appRole: string;

beforeEach(async () => {
  database = await createTestDatabase({ empty: true });
  appRole = `app_${randomBytes(8).toString('hex')}`;
});

afterEach(async () => {
  await database.drop();
  await query(withParts(database.ownerUrl, { pathname: '/postgres' }), `DROP ROLE IF EXISTS ${appRole}`);
});

function withParts(url: string, parts: Partial<Pick<URL, 'username' | 'password' | 'pathname'>>): string {
  return Object.assign(new URL(url), parts).href;
}

function urls(password = 'first password') {
  const { ownerUrl } = database;
  return { ownerUrl, appUrl: withParts(ownerUrl, { username: appRole, password }) };
}

async function query(url: string, text: string, values: unknown[] = []) {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text, values)).rows;
  } finally {
    await client.end();
  }
}

/** Every object that a migration could make, and every right, as text. */
async function describeSchema(ownerUrl: string): Promise<unknown[]> {
  return query(
    ownerUrl,
    `SELECT n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, c.relacl::text AS rights
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('tollgate', 'bullmq')
     UNION ALL
     SELECT n.nspname, p.oid::regprocedure::text, 'function', p.proacl::text
       FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname IN ('tollgate', 'bullmq')
     UNION ALL
     SELECT 'tollgate', name, 'migration', id::text FROM tollgate.schema_migration
     ORDER BY 1, 2, 3`,
  );
}

describe('migrate', () => {
  it('brings an empty database to the schema of this build', async () => {
    const options = urls();
    await migrate(options);
    const client = new Client({ connectionString: options.appUrl });
    await client.connect();
    await assertSchemaVersion(client);
    expect(await assertSchemaCompatibility(client, 'bullmq')).toBeGreaterThan(0);
    await client.end();
  });

  it('changes nothing the second time', async () => {
    await migrate(urls());
    const before = await describeSchema(database.ownerUrl);
    await migrate(urls());
    expect(await describeSchema(database.ownerUrl)).toEqual(before);
  });

  it('keeps what is in a filled database', async () => {
    await migrate(urls());
    const accountId = '01890000-0000-7000-8000-000000000001';
    await query(database.ownerUrl, `INSERT INTO tollgate.account (id, name) VALUES ($1, 'kept')`, [
      accountId,
    ]);
    await query(database.ownerUrl, `SELECT * FROM tollgate.adjust('top_up', $1, $1, 5, NULL, NULL)`, [
      accountId,
    ]);
    await migrate(urls());
    const rows = await query(database.ownerUrl, 'SELECT name, posted FROM tollgate.account');
    expect(rows).toEqual([{ name: 'kept', posted: '5' }]);
  });

  it('takes turns when several run at once', async () => {
    await Promise.all([1, 2, 3].map(() => migrate(urls())));
    const rows = await query(database.ownerUrl, 'SELECT name FROM tollgate.schema_migration ORDER BY id');
    expect(rows.map(({ name }) => name)).toEqual(MIGRATION_NAMES);
  });

  it('makes this month of usage and three to come', async () => {
    await migrate(urls());
    const rows = await query(
      database.ownerUrl,
      `SELECT inhrelid::regclass::text AS name FROM pg_inherits
        WHERE inhparent = 'tollgate.usage_record'::regclass AND inhrelid::regclass::text !~ 'default'`,
    );
    const now = new Date();
    const months = [0, 1, 2, 3].map((ahead) =>
      new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead)).toISOString().slice(0, 7),
    );
    expect(rows.map(({ name }) => name).sort()).toEqual(
      months.map((month) => `tollgate.usage_record_${month.replace('-', '_')}`),
    );
  });
});

describe('an owner who is no superuser', () => {
  const ownerRole = `owner_${randomBytes(8).toString('hex')}`;

  afterEach(async () => {
    await database.drop();
    const elsewhere = withParts(database.ownerUrl, { pathname: '/postgres' });
    await query(elsewhere, `DROP ROLE IF EXISTS ${appRole}`);
    await query(elsewhere, `DROP ROLE IF EXISTS ${ownerRole}`);
  });

  it.each([
    ['may make roles', 'CREATEROLE', ''],
    ['finds the role of the applications made by hand', '', `CREATE ROLE %s LOGIN PASSWORD 'first password'`],
  ])('is enough where it %s', async (_, attribute, byHand) => {
    await query(database.ownerUrl, `CREATE ROLE ${ownerRole} LOGIN ${attribute} PASSWORD 'plain'`);
    const databaseName = new URL(database.ownerUrl).pathname.slice(1);
    await query(database.ownerUrl, `GRANT CREATE ON DATABASE ${databaseName} TO ${ownerRole}`);
    if (byHand !== '') await query(database.ownerUrl, byHand.replace('%s', appRole));
    const ownerUrl = withParts(database.ownerUrl, { username: ownerRole, password: 'plain' });
    const { appUrl } = urls();
    await migrate({ ownerUrl, appUrl });
    await migrate({ ownerUrl, appUrl });
    const accountId = '01890000-0000-7000-8000-000000000001';
    await query(appUrl, `INSERT INTO tollgate.account (id, name) VALUES ($1, 'x')`, [accountId]);
    const rows = await query(appUrl, `SELECT outcome FROM tollgate.adjust('grant', $1, $1, 5, NULL, NULL)`, [
      accountId,
    ]);
    expect(rows).toEqual([{ outcome: 'booked' }]);
  });
});

describe('the application role', () => {
  it('gets a new password where the URL has another one', async () => {
    await migrate(urls('first password'));
    await migrate(urls("second: 'quoted' \\ and ünicode"));
    await expect(query(urls('first password').appUrl, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    const { appUrl } = urls("second: 'quoted' \\ and ünicode");
    expect(await query(appUrl, 'SELECT current_user AS role')).toEqual([{ role: appRole }]);
  });

  it('is a plain role that owns nothing', async () => {
    await migrate(urls());
    const [role] = await query(
      database.ownerUrl,
      `SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = $1`,
      [appRole],
    );
    expect(new Set(Object.values(role))).toEqual(new Set([false]));
  });

  it('has to be made by hand where the owner may not make roles', async () => {
    await query(database.ownerUrl, `CREATE ROLE ${appRole}_owner LOGIN PASSWORD 'plain'`);
    const databaseName = new URL(database.ownerUrl).pathname.slice(1);
    await query(database.ownerUrl, `GRANT CREATE ON DATABASE ${databaseName} TO ${appRole}_owner`);
    const ownerUrl = withParts(database.ownerUrl, { username: `${appRole}_owner`, password: 'plain' });
    await expect(migrate({ ownerUrl, appUrl: urls().appUrl })).rejects.toThrow(
      `make the role ${appRole} by hand`,
    );
    await database.drop();
    await query(withParts(database.ownerUrl, { pathname: '/postgres' }), `DROP ROLE ${appRole}_owner`);
  });

  it('must not be the owner', async () => {
    const { ownerUrl } = database;
    await expect(migrate({ ownerUrl, appUrl: ownerUrl })).rejects.toThrow('must name another role');
  });

  it('must not be a superuser, nor a member of the owner', async () => {
    const [{ owner }] = await query(database.ownerUrl, 'SELECT current_user AS owner');
    await query(database.ownerUrl, `CREATE ROLE ${appRole} LOGIN SUPERUSER PASSWORD 'first password'`);
    await expect(migrate(urls())).rejects.toThrow('is a superuser or a member of the owner');
    await query(database.ownerUrl, `ALTER ROLE ${appRole} NOSUPERUSER`);
    await query(database.ownerUrl, `GRANT ${owner} TO ${appRole}`);
    await expect(migrate(urls())).rejects.toThrow('is a superuser or a member of the owner');
    await query(database.ownerUrl, `REVOKE ${owner} FROM ${appRole}`);
    await migrate(urls());
  });

  it('loses rights that somebody gave it by hand', async () => {
    await migrate(urls());
    await query(database.ownerUrl, `GRANT UPDATE (posted) ON tollgate.account TO ${appRole}`);
    await query(database.ownerUrl, `GRANT DELETE ON tollgate.transfer TO ${appRole}`);
    await migrate(urls());
    const update = query(urls().appUrl, 'UPDATE tollgate.account SET posted = 1');
    await expect(update).rejects.toMatchObject({ code: '42501' });
  });
});

describe('a database of another version', () => {
  it('is not touched where a newer build has migrated it', async () => {
    await migrate(urls());
    await query(
      database.ownerUrl,
      `INSERT INTO tollgate.schema_migration (timestamp, name) VALUES (1999999999999, 'FromTheFuture1999999999999')`,
    );
    await expect(migrate(urls())).rejects.toThrow('migrated by a newer version of Tollgate (FromTheFuture');
    const client = new Client({ connectionString: urls().appUrl });
    await client.connect();
    await expect(assertSchemaVersion(client)).rejects.toThrow('start that version, or restore a backup');
    await client.end();
  });

  it.each([
    ['was never migrated', 'DROP SCHEMA tollgate CASCADE'],
    [
      'lacks the newest migration',
      'DELETE FROM tollgate.schema_migration WHERE id = (SELECT max(id) FROM tollgate.schema_migration)',
    ],
  ])('is refused by the applications where it %s', async (_, statement) => {
    await migrate(urls());
    await query(database.ownerUrl, statement);
    const client = new Client({ connectionString: urls().appUrl });
    await client.connect();
    await expect(assertSchemaVersion(client)).rejects.toThrow('run its migrations first');
    await client.end();
  });
});

describe('the entities', () => {
  it('are named as their tables, columns and constraints are in the database', async () => {
    await migrate(urls());
    const dataSource = createDataSource(database.ownerUrl);
    await dataSource.initialize();
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
    await dataSource.destroy();
    expect(upQueries.map((statement) => statement.query)).toEqual([]);
  });
});
