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

/** That every change writes one row is tested for each operation in `operations.int-spec.ts`. */
describe('the audit log', () => {
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

  it('is filtered by actor, request and text', async () => {
    const accountId = await openAccount(admin, '1');
    const find = async (query: string) => (await admin.call('GET', `/audit?${query}`)).body.data;
    const [row] = await find(`target=account/${accountId}&action=credits.top_up`);
    expect(await find(`requestId=${row.requestId}`)).toEqual([row]);
    const digits = row.requestId.slice('req_'.length);
    const uuid = digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    expect(await find(`requestId=${uuid}`)).toEqual([row]);
    expect(await find(`actor=operator:tester&target=account/${accountId}`)).toHaveLength(2);
    expect(await find('actor=operator:nobody')).toEqual([]);
    const { body: model } = await admin.call('POST', '/models', {
      body: { id: 'odd', displayName: '50%_Off' },
    });
    expect(model.id).toBe('odd');
    for (const q of ['50%25_off', 'model/ODD', 'odd', digits.slice(-12)]) {
      expect((await find(`q=${q}`)).length).toBeGreaterThan(0);
    }
    expect(await find('q=50%25_of_')).toEqual([]);
  });

  it.each(['requestId=x', 'q=', 'from=yesterday', 'who=me'])('refuses ?%s', async (query) => {
    expect((await admin.call('GET', `/audit?${query}`)).status).toBe(422);
  });

  it('is never changed, not by its owner either', async () => {
    for (const statement of [
      `UPDATE tollgate.audit_log SET actor = 'x'`,
      'DELETE FROM tollgate.audit_log',
      'TRUNCATE tollgate.audit_log',
    ]) {
      await expect(admin.owner.query(statement)).rejects.toMatchObject({ code: '42501' });
    }
  });

  it('cannot be changed by the role of the application', async () => {
    const { rows } = await admin.owner.query(
      `SELECT has_table_privilege('tollgate_app', 'tollgate.audit_log', 'UPDATE, DELETE, TRUNCATE') AS may`,
    );
    expect(rows).toEqual([{ may: false }]);
  });
});
