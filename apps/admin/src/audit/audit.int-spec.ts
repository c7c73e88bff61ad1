import { freshKey, openAccount, startAdmin, type AdminUnderTest } from '../admin.spec-kit.js';
import { auditSchema } from './audit.schema.js';

let admin: AdminUnderTest;
beforeAll(async () => {
  admin = await startAdmin();
});
afterAll(() => admin.stop());

async function auditRows(): Promise<{ action: string; requestId: string; actor: string }[]> {
  return (await admin.call('GET', '/audit?limit=200')).body.data;
}

describe('the audit log', () => {
  it('has one row for every change, with who did it and in which request', async () => {
    const accountId = await openAccount(admin);
    const { body: key } = await admin.call('POST', `/accounts/${accountId}/api-keys`, {
      body: { name: 'a' },
    });
    const rates = { input: '1', output: '1' };
    const changes = [
      ['model.create', 'POST', '/models', { id: 'm' }],
      ['price.create', 'POST', '/prices', { model: 'm', rates }],
      ['price.create', 'POST', '/prices:batch', { prices: [{ model: 'm', plan: 'b', rates }] }],
      ['deployment.create', 'POST', '/deployments', { name: 'd', baseUrl: 'http://127.0.0.1:1' }],
      ['account.create', 'POST', '/accounts', { name: 'b' }],
      ['account.update', 'PATCH', `/accounts/${accountId}`, { name: 'c' }],
      ['api_key.create', 'POST', `/accounts/${accountId}/api-keys`, { name: 'b' }],
      ['api_key.update', 'PATCH', `/api-keys/${key.id}`, { name: 'c' }],
      ['api_key.revoke', 'DELETE', `/api-keys/${key.id}`, undefined],
      ['credits.top_up', 'POST', `/accounts/${accountId}/top-ups`, { amount: '1' }],
      ['credits.grant', 'POST', `/accounts/${accountId}/adjustments`, { kind: 'grant', amount: '1' }],
    ] as const;
    for (const [action, method, path, body] of changes) {
      const count = (await auditRows()).length;
      const { status, headers } = await admin.call(method, path, { body, headers: freshKey() });
      expect([action, status]).toEqual([action, expect.any(Number)]);
      expect(status).toBeLessThan(300);
      const rows = await auditRows();
      expect(rows).toHaveLength(count + 1);
      expect(rows[0]).toMatchObject({ action, requestId: headers['x-request-id'], actor: 'operator:tester' });
    }
    const covered = new Set(
      changes.map(([, method, path]) => `${method} ${path.replace(/[0-9a-f-]{36}/, ':id')}`),
    );
    expect(changingRoutes().sort()).toEqual([...covered].sort());
  });

  it('has none for what was refused or repeated', async () => {
    const accountId = await openAccount(admin);
    const headers = freshKey();
    const topUp = () =>
      admin.call('POST', `/accounts/${accountId}/top-ups`, { body: { amount: '1' }, headers });
    await topUp();
    const rows = await auditRows();
    await topUp();
    await admin.call('POST', '/accounts', { body: { name: 'a', floor: '1' } });
    await admin.call('POST', `/accounts/${accountId}/adjustments`, {
      body: { kind: 'refund', amount: '-2' },
      headers: freshKey(),
    });
    expect(await auditRows()).toEqual(rows);
  });

  it('is filtered by target, action and time, and paged', async () => {
    const accountId = await openAccount(admin, '1');
    const find = async (query: string) => (await admin.call('GET', `/audit?${query}`)).body.data;
    expect(await find(`target=account/${accountId}`)).toHaveLength(2);
    const [row] = await find(`target=account/${accountId}&action=credits.top_up`);
    expect(auditSchema.parse(row)).toMatchObject({
      before: { balance: { posted: '0' } },
      after: { transfer: { amount: '1' }, balance: { posted: '1' } },
    });
    expect(await find('to=2020-01-01T00:00:00Z')).toEqual([]);
    const { body } = await admin.call('GET', '/audit?limit=1');
    expect(await find(`limit=1&cursor=${body.nextCursor}`)).not.toEqual(body.data);
  });

  it('cannot be changed by the role of the application', async () => {
    const { rows } = await admin.owner.query(
      `SELECT has_table_privilege('tollgate_app', 'tollgate.audit_log', 'UPDATE, DELETE, TRUNCATE') AS may`,
    );
    expect(rows).toEqual([{ may: false }]);
  });
});

/** Every route that changes something, as the router knows them. */
function changingRoutes(): string[] {
  return routesOf(admin.app.getHttpAdapter().getInstance().printRoutes({ commonPrefix: false }));
}

/** Reads Fastify's tree of routes. */
function routesOf(tree: string): string[] {
  const path: string[] = [];
  return tree.split('\n').flatMap((line) => {
    const branch = /^([│ ]*)[├└]── (\S*)(?: \(([A-Z, ]+)\))?/.exec(line);
    if (branch === null) return [];
    const [, indent = '', segment = '', methods = ''] = branch;
    path.splice(indent.length / 4, path.length, segment);
    const url = path.join('').replace('/admin/v1', '');
    return methods
      .split(', ')
      .filter((method) => ['POST', 'PATCH', 'PUT', 'DELETE'].includes(method))
      .map((method) => `${method} ${url}`);
  });
}
