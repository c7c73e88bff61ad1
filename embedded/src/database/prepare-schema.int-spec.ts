import { randomBytes } from 'node:crypto';
import { MasterKey } from '@tollgate/runtime';
import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { Client } from 'pg';
import { prepareSchema } from './prepare-schema.js';

// Real: Postgres, with an empty database and a role of its own.

let database: TestDatabase;
let owner: Client;
const appRole = `app_${randomBytes(8).toString('hex')}`;
const masterKey = MasterKey.parse(MasterKey.generate());

beforeAll(async () => {
  database = await createTestDatabase({ empty: true });
  owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
});

afterAll(async () => {
  await owner.end();
  await database.drop();
  const elsewhere = new Client({
    connectionString: Object.assign(new URL(database.ownerUrl), { pathname: '/postgres' }).href,
  });
  await elsewhere.connect();
  await elsewhere.query(`DROP ROLE IF EXISTS ${appRole}`);
  await elsewhere.end();
});

function prepare(key = masterKey): Promise<void> {
  const { ownerUrl } = database;
  const appUrl = Object.assign(new URL(ownerUrl), { username: appRole, password: 'secret' }).href;
  return prepareSchema({ ownerUrl, appUrl, masterKey: key });
}

async function migrations(): Promise<string[]> {
  const { rows } = await owner.query<{ name: string }>(
    'SELECT name FROM tollgate.schema_migration ORDER BY id',
  );
  return rows.map(({ name }) => name);
}

it('applies no migration where a later one fails', async () => {
  await owner.query('CREATE SCHEMA tollgate; CREATE TABLE tollgate.price ()');
  await expect(prepare()).rejects.toThrow('relation "price" already exists');
  const { rows } = await owner.query("SELECT to_regclass('tollgate.account') AS account");
  expect(rows).toEqual([{ account: null }]);
  await owner.query('DROP SCHEMA tollgate CASCADE');
});

it('makes the schema, and changes nothing the second time', async () => {
  await prepare();
  const first = await migrations();
  await prepare();
  expect(first.length).toBeGreaterThan(5);
  expect(await migrations()).toEqual(first);
});

it('refuses another master key, and says what to restore', async () => {
  await expect(prepare(MasterKey.parse(MasterKey.generate()))).rejects.toThrow(
    'MASTER_KEY is not the key that this database was filled with',
  );
});

it('leaves the data as they were where a migration fails, and says so', async () => {
  const id = '01890000-0000-7000-8000-000000000001';
  await owner.query("INSERT INTO tollgate.account (id, name) VALUES ($1, 'kept')", [id]);
  const before = await migrations();
  // It would run again and find its own work in the way.
  const last = before.find((name) => name.startsWith('AddInstallation'));
  await owner.query('DELETE FROM tollgate.schema_migration WHERE name = $1', [last]);
  await expect(prepare()).rejects.toThrow(/could not be brought to this version.*\nNothing was started\./);
  expect(await migrations()).toEqual(before.filter((name) => name !== last));
  const { rows } = await owner.query<{ name: string }>('SELECT name FROM tollgate.account');
  expect(rows).toEqual([{ name: 'kept' }]);
  await owner.query('INSERT INTO tollgate.schema_migration (timestamp, name) VALUES ($1, $2)', [
    String(/\d+$/.exec(last ?? '')),
    last,
  ]);
  await prepare();
});

it('refuses the data of a newer version, untouched', async () => {
  await owner.query(
    "INSERT INTO tollgate.schema_migration (timestamp, name) VALUES (1999999999999, 'FromTheFuture')",
  );
  const before = await migrations();
  await expect(prepare()).rejects.toThrow(
    /migrated by a newer version of Tollgate \(FromTheFuture\): start that version.* Nothing was started/,
  );
  expect(await migrations()).toEqual(before);
});
