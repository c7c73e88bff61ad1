import { HttpAdapterHost } from '@nestjs/core';
import { ensureMasterKey } from '@tollgate/persistence';
import { MasterKey } from '@tollgate/runtime';
import { createTestDatabase } from '@tollgate/testing';
import { Client } from 'pg';
import { adminConfigSchema } from './admin.config.js';
import { bootAdmin } from './admin-process.js';
import { freshKey, openAccount, startAdmin } from './admin.spec-kit.js';

function configFor(databaseUrl: string) {
  return adminConfigSchema.parse({
    DATABASE_URL: databaseUrl,
    MASTER_KEY: MasterKey.generate(),
    PORT: '0',
    LOG_LEVEL: 'silent',
  });
}

describe('the admin process', () => {
  it('listens, is ready, and closes its port when it stops', async () => {
    const database = await createTestDatabase();
    const { app, health } = await bootAdmin(configFor(database.appUrl));
    const server: { address(): { port: number } } = app.get(HttpAdapterHost).httpAdapter.getHttpServer();
    const url = `http://127.0.0.1:${server.address().port}/health/ready`;
    expect((await fetch(url)).status).toBe(200);
    health.drain();
    expect((await fetch(url)).status).toBe(503);
    await app.close();
    await expect(fetch(url)).rejects.toThrow();
    await database.drop();
  });

  it('refuses to start on a database without its schema', async () => {
    const database = await createTestDatabase({ empty: true });
    await expect(bootAdmin(configFor(database.ownerUrl))).rejects.toThrow(/migrations/);
    await database.drop();
  });

  it('refuses to start with a master key that is not the database’s', async () => {
    const database = await createTestDatabase();
    const owner = new Client({ connectionString: database.ownerUrl });
    await owner.connect();
    await ensureMasterKey(owner, MasterKey.parse(MasterKey.generate()));
    await owner.end();
    await expect(bootAdmin(configFor(database.appUrl))).rejects.toThrow(/MASTER_KEY is not the key/);
    await database.drop();
  });

  it('finishes what is under way before it lets go of the database', async () => {
    const admin = await startAdmin();
    await admin.app.listen(0, '127.0.0.1');
    const accountId = await openAccount(admin);
    const blocker = await admin.owner.connect();
    await blocker.query('BEGIN');
    await blocker.query('SELECT FROM tollgate.account WHERE id = $1 FOR UPDATE', [accountId]);
    const underWay = fetch(`${await admin.app.getUrl()}/admin/v1/accounts/${accountId}/top-ups`, {
      method: 'POST',
      headers: { authorization: `Bearer ${admin.token}`, 'content-type': 'application/json', ...freshKey() },
      body: JSON.stringify({ amount: '5' }),
    });
    await waitForLock(admin);
    const stopped = admin.stop();
    await blocker.query('COMMIT');
    blocker.release();
    expect((await underWay).status).toBe(201);
    await stopped;
  });
});

async function waitForLock(admin: Awaited<ReturnType<typeof startAdmin>>): Promise<void> {
  for (let waiting = 0; waiting === 0;) {
    const { rows } = await admin.owner.query(
      `SELECT count(*)::int AS count FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
    );
    waiting = rows[0].count;
  }
}
