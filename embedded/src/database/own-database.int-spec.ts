import { randomBytes } from 'node:crypto';
import { MasterKey } from '@tollgate/runtime';
import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { Client } from 'pg';
import { prepareOwnDatabase } from './own-database.js';

// Real: Postgres, with an empty database and a role of its own.

let database: TestDatabase;
let appUrl: string;
const appRole = `app_${randomBytes(8).toString('hex')}`;
const masterKey = MasterKey.parse(MasterKey.generate());

beforeAll(async () => {
  database = await createTestDatabase({ empty: true });
  const { ownerUrl } = database;
  appUrl = Object.assign(new URL(ownerUrl), { username: appRole, password: 'secret' }).href;
});

afterAll(async () => {
  const elsewhere = Object.assign(new URL(database.ownerUrl), { pathname: '/postgres' }).href;
  await database.drop();
  const client = new Client({ connectionString: elsewhere });
  await client.connect();
  await client.query(`DROP ROLE IF EXISTS ${appRole}`);
  await client.end();
});

it('names the variable of a Postgres that does not answer, without its password', async () => {
  const unreachable = 'postgres://ada:hush@127.0.0.1:9/x';
  const prepared = prepareOwnDatabase({ appUrl: unreachable, ownerUrl: undefined, masterKey });
  await expect(prepared).rejects.toThrow(
    /^DATABASE_URL: Postgres \(ada@127\.0\.0\.1:9\) cannot be used: .*ECONNREFUSED.* correct DATABASE_URL/,
  );
  await expect(prepared).rejects.not.toThrow(/hush/);
  await expect(prepareOwnDatabase({ appUrl, ownerUrl: unreachable, masterKey })).rejects.toThrow(
    /^DATABASE_OWNER_URL: /,
  );
});

it('says that only the owner can migrate, and then does', async () => {
  // The owner may stand in for the applications: nothing is changed.
  await expect(
    prepareOwnDatabase({ appUrl: database.ownerUrl, ownerUrl: undefined, masterKey }),
  ).rejects.toThrow(/^DATABASE_URL: the database has an older schema.*if DATABASE_OWNER_URL.* is set too/);
  await prepareOwnDatabase({ appUrl, ownerUrl: database.ownerUrl, masterKey });
  await prepareOwnDatabase({ appUrl, ownerUrl: undefined, masterKey });
});

it('refuses another master key', async () => {
  const other = MasterKey.parse(MasterKey.generate());
  await expect(prepareOwnDatabase({ appUrl, ownerUrl: undefined, masterKey: other })).rejects.toThrow(
    /MASTER_KEY is not the key .*Nothing was started/,
  );
});
