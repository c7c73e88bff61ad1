import { randomUUID } from 'node:crypto';
import { createPool, loadCatalogRows, readCatalogVersion } from '@tollgate/persistence';
import type { Pool } from 'pg';
import { startAdmin, type AdminUnderTest } from '../admin.spec-kit.js';

let admin: AdminUnderTest;
let gateway: Pool;
beforeAll(async () => {
  admin = await startAdmin();
  // What a gateway reads when a notice comes.
  gateway = createPool({ url: admin.config.DATABASE_URL, max: 1, name: 'gateway' });
  for (const id of ['small', 'large']) await admin.call('POST', '/models', { body: { id } });
});
afterAll(async () => {
  await gateway.end();
  await admin.stop();
});

const LOCAL = 'http://127.0.0.1:8083/v1';
const FIELDS = {
  baseUrl: LOCAL,
  credential: 'sk-first-canary',
  models: [{ model: 'small', upstreamModel: 'small-2026', priority: 1, weight: 3 }],
  apis: ['chat'],
  settings: { firstByteTimeoutMs: 30_000, drainOnAbortMs: 5 },
};

async function create(fields: Record<string, unknown> = {}) {
  const body = { name: randomUUID(), ...FIELDS, ...fields };
  const created = await admin.call('POST', '/deployments', { body });
  expect(created.status).toBe(201);
  return { body: created.body, path: `/deployments/${created.body.id}` };
}

async function rowOfGateways(id: string) {
  return (await loadCatalogRows(gateway)).deployments.find((row) => row.id === id);
}

describe('PATCH /deployments/{id}', () => {
  it('changes what is given and nothing else, and gateways are told', async () => {
    const { body: created, path } = await create({ externalId: 'dep-1' });
    const before = await readCatalogVersion(gateway);
    const patch = { name: 'renamed', baseUrl: 'http://127.0.0.1:8083/v2///', status: 'disabled' };
    const { status, body } = await admin.call('PATCH', path, { body: patch });
    expect(status).toBe(200);
    expect(body).toEqual({
      ...created,
      name: 'renamed',
      baseUrl: 'http://127.0.0.1:8083/v2',
      status: 'disabled',
      updatedAt: expect.any(String),
    });
    expect(await readCatalogVersion(gateway)).toBeGreaterThan(before);
    expect(await rowOfGateways(created.id)).toBeUndefined();
    await admin.call('PATCH', path, { body: { status: 'active' } });
    const row = await rowOfGateways(created.id);
    expect(row).toMatchObject({ baseUrl: 'http://127.0.0.1:8083/v2', models: FIELDS.models });
    expect(admin.config.MASTER_KEY.open('credential', row?.credential ?? '')).toBe(FIELDS.credential);
  });

  it.each(['http://127.0.0.1:9/v1', 'https://127.0.0.1:8083/v1', 'http://127.0.0.2:8083/v1'])(
    'sends no stored credential to %s, another origin, unless the same PATCH says which',
    async (baseUrl) => {
      const { body: created, path } = await create();
      const refused = await admin.call('PATCH', path, { body: { name: 'half done', baseUrl } });
      expect([refused.status, refused.body.errors]).toEqual([
        422,
        [
          {
            pointer: '/credential',
            message: expect.stringContaining('stored credential would be sent there'),
          },
        ],
      ]);
      expect((await admin.call('GET', path)).body).toEqual(created);
      const given = await admin.call('PATCH', path, { body: { baseUrl, credential: 'sk-another' } });
      expect([given.status, given.body.baseUrl]).toEqual([200, baseUrl]);
      const removed = await admin.call('PATCH', path, { body: { baseUrl: LOCAL, credential: null } });
      expect([removed.status, removed.body.baseUrl]).toEqual([200, LOCAL]);
      // Nothing is stored any more that could go anywhere.
      expect((await admin.call('PATCH', path, { body: { baseUrl } })).status).toBe(200);
    },
  );

  it('asks for the credential too where the stored one cannot be read', async () => {
    const { body: created, path } = await create();
    await admin.owner.query(`UPDATE tollgate.deployment SET credential = 'v1.other.x.y' WHERE id = $1`, [
      created.id,
    ]);
    const refused = await admin.call('PATCH', path, { body: { baseUrl: 'http://127.0.0.1:9/v1' } });
    expect([refused.status, refused.body.errors[0].pointer]).toEqual([422, '/credential']);
    await admin.call('DELETE', path);
  });

  it('replaces the models as a whole', async () => {
    const { body: created, path } = await create();
    const { body } = await admin.call('PATCH', path, { body: { models: [{ model: 'large', priority: 2 }] } });
    const models = [{ model: 'large', upstreamModel: 'large', priority: 2, weight: 1 }];
    expect(body.models).toEqual(models);
    expect((await rowOfGateways(created.id))?.models).toEqual(models);
    expect((await admin.call('PATCH', path, { body: { models: [] } })).body.models).toEqual([]);
  });

  it('merges settings, and gives their defaults back for null', async () => {
    const { path } = await create();
    const patch = async (settings: unknown) =>
      (await admin.call('PATCH', path, { body: { settings } })).body.settings;
    expect(await patch({ drainOnAbortMs: 7 })).toEqual({ firstByteTimeoutMs: 30_000, drainOnAbortMs: 7 });
    expect(await patch({ firstByteTimeoutMs: null })).toEqual({ drainOnAbortMs: 7 });
    expect(await patch(null)).toEqual({});
  });

  it('empties what null empties', async () => {
    const { path } = await create({ externalId: 'dep-2' });
    const { body } = await admin.call('PATCH', path, { body: { externalId: null, apis: null } });
    expect(body).toMatchObject({ externalId: null, apis: null });
  });

  it('replaces and removes the credential, says so in the audit log, and shows it nowhere', async () => {
    const { body: created, path } = await create();
    const sealed = async () => (await rowOfGateways(created.id))?.credential ?? '';
    const open = async () => admin.config.MASTER_KEY.open('credential', await sealed());
    await admin.call('PATCH', path, { body: { credential: 'sk-second-canary' } });
    expect(await open()).toBe('sk-second-canary');
    await admin.call('PATCH', path, { body: { credential: null } });
    expect(await open()).toBe('');
    await admin.call('PATCH', path, { body: { name: 'not the credential' } });
    const { body: audit } = await admin.call('GET', `/audit?target=deployment/${created.id}`);
    expect(audit.data.map(({ after }: { after: { credential?: string } }) => after.credential)).toEqual([
      undefined,
      'removed',
      'replaced',
      undefined,
    ]);
    expect(JSON.stringify(audit)).not.toContain('canary');
  });

  it.each([
    ['/baseUrl', { baseUrl: 'http://169.254.169.254/latest' }],
    ['/baseUrl', { baseUrl: null }],
    ['/models/0/model', { models: [{ model: 'huge' }] }],
    ['/models', { models: [{ model: 'small' }, { model: 'small' }] }],
    ['/models', { models: null }],
    ['/provider', { provider: 'openai' }],
    ['/status', { status: 'deleted' }],
    ['/settings/drainOnAbortMs', { settings: { drainOnAbortMs: -1 } }],
    ['/settings/other', { settings: { other: 1 } }],
    ['/credential', { credential: '' }],
  ])('points at %s of %j and changes nothing', async (pointer, body) => {
    const { body: created, path } = await create();
    const answer = await admin.call('PATCH', path, { body: { name: 'half done', ...body } });
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, pointer]);
    expect((await admin.call('GET', path)).body).toEqual(created);
  });

  it('refuses the name and the external id of another', async () => {
    const { body: other } = await create({ externalId: 'dep-3' });
    const { path } = await create();
    const codeOf = async (body: unknown) => (await admin.call('PATCH', path, { body })).body.code;
    expect(await codeOf({ name: other.name })).toBe('name_taken');
    expect(await codeOf({ externalId: 'dep-3' })).toBe('external_id_taken');
    expect((await admin.call('PATCH', `/deployments/${randomUUID()}`, { body: {} })).status).toBe(404);
  });
});

describe('DELETE /deployments/{id}', () => {
  it('takes it out of lists and of what gateways use, and forgets its credential', async () => {
    const { body: created, path } = await create({ externalId: 'dep-4' });
    await admin.call('POST', '/prices', { body: { model: 'small', rates: { input: '1', output: '1' } } });
    const before = await readCatalogVersion(gateway);
    expect(await admin.call('DELETE', path)).toMatchObject({ status: 204, body: null });
    expect(await readCatalogVersion(gateway)).toBeGreaterThan(before);
    expect(await rowOfGateways(created.id)).toBeUndefined();
    expect((await admin.call('GET', '/deployments?externalId=dep-4')).body.data).toEqual([]);
    for (const method of ['GET', 'PATCH'] as const) {
      const options = method === 'PATCH' ? { body: {} } : {};
      expect((await admin.call(method, path, options)).status).toBe(404);
    }
    const { rows } = await admin.owner.query('SELECT credential FROM tollgate.deployment WHERE id = $1', [
      created.id,
    ]);
    expect(admin.config.MASTER_KEY.open('credential', rows[0].credential)).toBe('');
  });

  it('again changes nothing, and answers 404 for what never was', async () => {
    const { body: created, path } = await create();
    await admin.call('DELETE', path);
    const { body: audit } = await admin.call('GET', `/audit?target=deployment/${created.id}`);
    expect(audit.data[0]).toMatchObject({ action: 'deployment.delete', before: created, after: null });
    expect((await admin.call('DELETE', path)).status).toBe(204);
    expect((await admin.call('GET', `/audit?target=deployment/${created.id}`)).body.data).toEqual(audit.data);
    expect((await admin.call('DELETE', `/deployments/${randomUUID()}`)).status).toBe(404);
  });

  it('frees its name and its external id for another', async () => {
    const fields = { name: 'phoenix', externalId: 'dep-5' };
    const { path, body } = await create(fields);
    await admin.call('DELETE', path);
    const { body: reborn } = await create(fields);
    expect(reborn.id).not.toBe(body.id);
    const twice = await admin.call('POST', '/deployments', { body: { ...FIELDS, ...fields } });
    expect([twice.status, twice.body.code]).toEqual([409, 'name_taken']);
  });

  it('makes a model unsellable that nothing else serves', async () => {
    await admin.call('POST', '/models', { body: { id: 'lonely' } });
    await admin.call('POST', '/prices', { body: { model: 'lonely', rates: { input: '1', output: '1' } } });
    const { path } = await create({ models: [{ model: 'lonely' }] });
    const sellable = async () => (await admin.call('GET', '/models/lonely')).body.sellable;
    expect(await sellable()).toBe(true);
    await admin.call('DELETE', path);
    expect(await sellable()).toBe(false);
    expect((await admin.call('DELETE', '/models/lonely')).status).toBe(204);
  });
});

describe('GET /deployments?q=', () => {
  it('finds by part of a name, an external id or a base URL', async () => {
    await create({ name: 'Searched_One', externalId: 'ext-needle', baseUrl: 'http://127.0.0.1:7777/needle' });
    const find = async (text: string) =>
      (await admin.call('GET', `/deployments?q=${encodeURIComponent(text)}`)).body.data.map(
        ({ name }: { name: string }) => name,
      );
    for (const text of ['searched_', 'EXT-NEEDLE', '7777/nee']) {
      expect(await find(text)).toEqual(['Searched_One']);
    }
    expect(await find('searched%')).toEqual([]);
  });
});
