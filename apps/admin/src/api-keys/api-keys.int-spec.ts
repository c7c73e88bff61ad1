import { randomUUID } from 'node:crypto';
import { openAccount, startAdmin, type AdminUnderTest } from '../admin.spec-kit.js';
import { apiKeySchema, createdApiKeySchema } from './api-key.schema.js';

let admin: AdminUnderTest;
let accountId: string;
beforeAll(async () => {
  admin = await startAdmin();
  accountId = await openAccount(admin);
  await admin.call('POST', '/models', { body: { id: 'glm-5' } });
});
afterAll(() => admin.stop());

async function createKey(body: object = { name: 'laptop' }) {
  return admin.call('POST', `/accounts/${accountId}/api-keys`, { body });
}

describe('POST /accounts/{id}/api-keys', () => {
  it('shows the key once and keeps only its HMAC', async () => {
    const { status, body } = await createKey();
    expect(status).toBe(201);
    const { key, ...shown } = createdApiKeySchema.parse(body);
    expect(key).toMatch(/^sk-[0-9A-Za-z]{48}$/);
    expect(shown).toMatchObject({
      accountId,
      prefix: key.slice(0, 7),
      last4: key.slice(-4),
      allowedModels: null,
      status: 'active',
      expiresAt: null,
      dialect: null,
    });
    const read = await admin.call('GET', `/api-keys/${shown.id}`);
    expect(apiKeySchema.parse(read.body)).toEqual(shown);
    const { rows } = await admin.owner.query('SELECT key_hash FROM tollgate.api_key WHERE id = $1', [
      shown.id,
    ]);
    expect(rows[0].key_hash).toEqual(admin.config.MASTER_KEY.hashSecret('api-key', key));
  });

  it('leaves the key nowhere in the database', async () => {
    const { body } = await createKey();
    const { rows } = await admin.owner.query(
      `SELECT 1 FROM tollgate.audit_log a WHERE a::text LIKE '%' || $1 || '%'
       UNION ALL SELECT 1 FROM tollgate.api_key k WHERE k::text LIKE '%' || $1 || '%'`,
      [body.key],
    );
    expect(rows).toEqual([]);
  });

  it('tells no models from all models', async () => {
    expect((await createKey({ name: 'a', allowedModels: [] })).body.allowedModels).toEqual([]);
    expect((await createKey({ name: 'a', allowedModels: null })).body.allowedModels).toBeNull();
    expect((await createKey({ name: 'a', allowedModels: ['glm-5', 'glm-5'] })).body.allowedModels).toEqual([
      'glm-5',
    ]);
  });

  it.each([
    ['/allowedModels/1', { name: 'a', allowedModels: ['glm-5', 'glm-6'] }],
    ['/allowedModels/0', { name: 'a', allowedModels: [''] }],
    ['/expiresAt', { name: 'a', expiresAt: '2020-01-01T00:00:00Z' }],
    ['/expiresAt', { name: 'a', expiresAt: '2099-01-01T00:00:00+08:00' }],
    ['/expiresAt', { name: 'a', expiresAt: '2099-02-30T00:00:00Z' }],
    ['/expiresAt', { name: 'a', expiresAt: 4070908800 }],
    ['/dialect', { name: 'a', dialect: 'klingon' }],
    ['/key', { name: 'a', key: 'sk-mine' }],
  ])('points at %s', async (pointer, body) => {
    const answer = await createKey(body);
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, pointer]);
  });

  it('answers 404 for an unknown account', async () => {
    const answer = await admin.call('POST', `/accounts/${randomUUID()}/api-keys`, { body: { name: 'a' } });
    expect(answer.status).toBe(404);
  });
});

describe('the status of a key', () => {
  it('is expired once its time has come', async () => {
    const { body } = await createKey({ name: 'a', expiresAt: '2099-01-01T00:00:00.000Z' });
    expect(body).toMatchObject({ status: 'active', expiresAt: '2099-01-01T00:00:00.000Z' });
    await admin.owner.query(`UPDATE tollgate.api_key SET expires_at = now() - interval '1 s' WHERE id = $1`, [
      body.id,
    ]);
    expect((await admin.call('GET', `/api-keys/${body.id}`)).body.status).toBe('expired');
  });

  it('is switched off and on', async () => {
    const { body } = await createKey();
    const path = `/api-keys/${body.id}`;
    expect((await admin.call('PATCH', path, { body: { status: 'disabled' } })).body.status).toBe('disabled');
    const on = await admin.call('PATCH', path, {
      body: { status: 'active', name: 'desk', allowedModels: [] },
    });
    expect(on.body).toMatchObject({ status: 'active', name: 'desk', allowedModels: [] });
  });

  it('is no matter of the dialect that it speaks', async () => {
    const { body } = await createKey({ name: 'a', dialect: 'openai' });
    expect(body).toMatchObject({ status: 'active', dialect: 'openai' });
    const patched = await admin.call('PATCH', `/api-keys/${body.id}`, { body: { dialect: null } });
    expect(patched.body).toMatchObject({ status: 'active', dialect: null });
  });

  it('is revoked for ever, twice the same, and tells gateways', async () => {
    const { body } = await createKey();
    const path = `/api-keys/${body.id}`;
    const before = await admin.owner.query('SELECT version FROM tollgate.catalog_version');
    expect((await admin.call('DELETE', path)).status).toBe(204);
    const after = await admin.owner.query('SELECT version FROM tollgate.catalog_version');
    expect(Number(after.rows[0].version)).toBeGreaterThan(Number(before.rows[0].version));
    expect((await admin.call('DELETE', path)).status).toBe(204);
    expect((await admin.call('GET', path)).body.status).toBe('revoked');
    const revived = await admin.call('PATCH', path, { body: { status: 'active' } });
    expect([revived.status, revived.body.code]).toEqual([409, 'already_revoked']);
    const { body: audit } = await admin.call('GET', `/audit?target=api_key/${body.id}`);
    expect(audit.data.map(({ action }: { action: string }) => action)).toEqual([
      'api_key.revoke',
      'api_key.create',
    ]);
  });

  it('answers 404 for an unknown key', async () => {
    for (const method of ['GET', 'DELETE'] as const) {
      expect((await admin.call(method, `/api-keys/${randomUUID()}`)).status).toBe(404);
    }
    expect((await admin.call('PATCH', `/api-keys/${randomUUID()}`, { body: {} })).status).toBe(404);
  });
});

describe('lists of keys', () => {
  it('are for one account or for all, and never hold a key', async () => {
    const other = await openAccount(admin);
    const { body } = await admin.call('POST', `/accounts/${other}/api-keys`, {
      body: { name: 'a', externalId: 'k1' },
    });
    const { key, ...shown } = body;
    for (const path of [
      `/accounts/${other}/api-keys`,
      `/api-keys?accountId=${other}`,
      '/api-keys?externalId=k1',
      '/api-keys?limit=1',
    ]) {
      const list = await admin.call('GET', path);
      expect(list.body.data).toEqual([shown]);
      expect(JSON.stringify(list.body)).not.toContain(key);
    }
    expect((await admin.call('GET', `/accounts/${randomUUID()}/api-keys`)).status).toBe(404);
  });

  it('find keys by part of a name, an external id, or what is shown of the key, and by status', async () => {
    const accountId = await openAccount(admin);
    const path = `/accounts/${accountId}/api-keys`;
    const make = async (body: object) => (await admin.call('POST', path, { body })).body;
    const laptop = await make({ name: 'My Laptop 100%', externalId: 'crm-key-7' });
    const desk = await make({ name: 'desk' });
    const late = await make({ name: 'late', expiresAt: '2099-01-01T00:00:00Z' });
    const dead = await make({ name: 'dead' });
    await admin.call('PATCH', `/api-keys/${desk.id}`, { body: { status: 'disabled' } });
    await admin.call('DELETE', `/api-keys/${dead.id}`);
    await admin.owner.query(`UPDATE tollgate.api_key SET expires_at = now() - interval '1 s' WHERE id = $1`, [
      late.id,
    ]);
    const find = async (query: string) =>
      (await admin.call('GET', `/api-keys?accountId=${accountId}&${query}`)).body.data.map(
        ({ name }: { name: string }) => name,
      );
    expect(await find('q=lapTOP')).toEqual([laptop.name]);
    expect(await find('q=100%25')).toEqual([laptop.name]);
    expect(await find('q=KEY-7')).toEqual([laptop.name]);
    expect(await find(`q=${laptop.prefix}`)).toContain(laptop.name);
    expect(await find(`q=${laptop.last4}`)).toContain(laptop.name);
    expect(await find('q=_')).toEqual([]);
    expect(await find('status=active')).toEqual([laptop.name]);
    expect(await find('status=disabled')).toEqual(['desk']);
    expect(await find('status=expired')).toEqual(['late']);
    expect(await find('status=revoked')).toEqual(['dead']);
    expect(await find('status=revoked&q=desk')).toEqual([]);
    const ofAccount = await admin.call('GET', `${path}?status=expired&q=LATE`);
    expect(ofAccount.body.data).toMatchObject([{ name: 'late', status: 'expired' }]);
    const { body } = await admin.call('GET', '/api-keys?status=gone');
    expect(body.errors[0].pointer).toBe('/status');
  });
});
