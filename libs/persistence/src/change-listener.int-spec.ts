import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import type { Pool } from 'pg';
import { listenForChanges, type Change, type ChangeListener } from './change-listener.js';
import { createPool } from './pool.js';

// Real: Postgres; the listener's connection is cut.

let database: TestDatabase;
let owner: Pool;
/** On another database of the server. */
let elsewhere: Pool;
let databaseName: string;
let listener: ChangeListener;
let changes: Change[];
let losses: Error[];

beforeEach(async () => {
  database = await createTestDatabase();
  owner = createPool({ url: database.ownerUrl, max: 2, name: 'listener-spec' });
  const { pathname, href } = new URL(database.ownerUrl);
  databaseName = pathname.slice(1);
  elsewhere = createPool({ url: href.replace(pathname, '/postgres'), max: 1, name: 'listener-spec' });
  changes = [];
  losses = [];
  listener = await listenForChanges({
    url: database.appUrl,
    name: 'listener-under-test',
    onChange: (change) => changes.push(change),
    onLost: (error) => losses.push(error),
  });
});

afterEach(async () => {
  await listener.close();
  await Promise.all([owner.end(), elsewhere.end()]);
  await database.drop();
});

async function until(condition: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > giveUpAt) throw new Error('it did not happen within 10 s');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function cut(): Promise<number> {
  const { rowCount } = await elsewhere.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name = 'listener-under-test' AND datname = $1`,
    [databaseName],
  );
  return rowCount ?? 0;
}

describe('listenForChanges', () => {
  it('tells of a change with its table and the version of the catalog', async () => {
    await owner.query(`INSERT INTO tollgate.model (id) VALUES ('m')`);
    await until(() => changes.length === 1);
    expect(changes).toEqual([{ table: 'model', version: 2n }]);
    expect(losses).toEqual([]);
  });

  it('tells nothing of a change that was rolled back', async () => {
    const client = await owner.connect();
    await client.query('BEGIN');
    await client.query(`INSERT INTO tollgate.model (id) VALUES ('never')`);
    await client.query('ROLLBACK');
    client.release();
    await owner.query(`INSERT INTO tollgate.model (id) VALUES ('kept')`);
    await until(() => changes.length > 0);
    expect(changes).toEqual([{ table: 'model', version: 2n }]);
  });

  it('reconnects when its connection is cut, and then says that anything may have changed', async () => {
    expect(await cut()).toBe(1);
    await owner.query(`INSERT INTO tollgate.model (id) VALUES ('missed')`);
    await until(() => changes.length === 1);
    expect(changes).toEqual([{ table: null, version: null }]);
    expect(losses.length).toBeGreaterThan(0);
    await owner.query(`INSERT INTO tollgate.model (id) VALUES ('heard')`);
    await until(() => changes.length === 2);
    expect(changes[1]).toEqual({ table: 'model', version: 3n });
  });

  it('keeps trying while it may not connect', async () => {
    await elsewhere.query(`ALTER DATABASE ${databaseName} ALLOW_CONNECTIONS false`);
    await cut();
    await until(() => losses.length >= 2);
    await elsewhere.query(`ALTER DATABASE ${databaseName} ALLOW_CONNECTIONS true`);
    await until(() => changes.length === 1);
    expect(changes).toEqual([{ table: null, version: null }]);
  });

  it('takes a notice that it cannot read for a change of anything', async () => {
    await owner.query(
      `SELECT pg_notify('tollgate_changed', 'no json'), pg_notify('tollgate_changed', '{"table": 5}')`,
    );
    await until(() => changes.length === 2);
    expect(changes).toEqual([
      { table: null, version: null },
      { table: null, version: null },
    ]);
  });

  it('leaves no connection behind once it is closed, nor opens one again', async () => {
    await listener.close();
    expect(await cut()).toBe(0);
    expect(losses).toEqual([]);
  });

  it('may be closed while it waits to reconnect', async () => {
    await cut();
    await until(() => losses.length === 1);
    await listener.close();
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(await cut()).toBe(0);
    expect(changes).toEqual([]);
  });

  it('rejects where Postgres cannot be reached at first', async () => {
    const url = 'postgres://nobody@127.0.0.1:1/none';
    await expect(listenForChanges({ url, onChange: () => undefined })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
  });
});
