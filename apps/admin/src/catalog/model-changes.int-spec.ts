import { createPool, loadCatalogRows, readCatalogVersion } from '@tollgate/persistence';
import type { Pool } from 'pg';
import { startAdmin, type AdminUnderTest } from '../admin.spec-kit.js';

let admin: AdminUnderTest;
let gateway: Pool;
beforeAll(async () => {
  admin = await startAdmin();
  // What a gateway reads when a notice comes.
  gateway = createPool({ url: admin.config.DATABASE_URL, max: 1, name: 'gateway' });
});
afterAll(async () => {
  await gateway.end();
  await admin.stop();
});

const LOCAL = 'http://127.0.0.1:8083/v1';

async function createModel(id: string): Promise<string> {
  const { status } = await admin.call('POST', '/models', { body: { id, displayName: `The ${id}` } });
  expect(status).toBe(201);
  return `/models/${encodeURIComponent(id)}`;
}

async function deploy(name: string, models: string[], status = 'active'): Promise<string> {
  const { body } = await admin.call('POST', '/deployments', {
    body: { name, baseUrl: LOCAL, status, models: models.map((model) => ({ model })) },
  });
  return `/deployments/${body.id}`;
}

async function soldByGateways(): Promise<string[]> {
  return (await loadCatalogRows(gateway)).models.map(({ id }) => id);
}

describe('PATCH /models/{id}', () => {
  it('changes what is given, empties what null empties, and gateways are told', async () => {
    const path = await createModel('vendor/patched:free');
    const before = await readCatalogVersion(gateway);
    const patch = { ownedBy: 'somebody', contextTokens: 8000, outputTokensMax: 500 };
    const { status, body } = await admin.call('PATCH', path, { body: patch });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      id: 'vendor/patched:free',
      displayName: 'The vendor/patched:free',
      ...patch,
    });
    expect(await readCatalogVersion(gateway)).toBeGreaterThan(before);
    expect((await loadCatalogRows(gateway)).models).toContainEqual(
      expect.objectContaining({ id: 'vendor/patched:free', ...patch }),
    );
    const emptied = await admin.call('PATCH', path, {
      body: { displayName: null, contextTokens: null, outputTokensMax: null },
    });
    expect(emptied.body).toMatchObject({
      displayName: null,
      ownedBy: 'somebody',
      contextTokens: null,
      outputTokensMax: null,
    });
    const { body: audit } = await admin.call('GET', '/audit?target=model/vendor/patched:free');
    expect(audit.data[0]).toMatchObject({ action: 'model.update', before: body, after: emptied.body });
  });

  it.each([
    ['/id', { id: 'another' }],
    ['/ownedBy', { ownedBy: null }],
    ['/ownedBy', { ownedBy: '' }],
    ['/contextTokens', { contextTokens: 0 }],
    ['/sellable', { sellable: true }],
  ])('points at %s of %j', async (pointer, body) => {
    await admin.call('POST', '/models', { body: { id: 'pointed' } });
    const answer = await admin.call('PATCH', '/models/pointed', { body });
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, pointer]);
  });

  it('answers 404 for a model that is not there', async () => {
    expect((await admin.call('PATCH', '/models/nothing', { body: {} })).status).toBe(404);
  });
});

describe('DELETE /models/{id}', () => {
  it('takes a model out of lists and of what gateways sell, at once and for ever', async () => {
    const path = await createModel('vendor/gone');
    const price = await admin.call('POST', '/prices', {
      body: { model: 'vendor/gone', rates: { input: '1', output: '1' } },
    });
    expect(await soldByGateways()).toContain('vendor/gone');
    const before = await readCatalogVersion(gateway);
    expect(await admin.call('DELETE', path)).toMatchObject({ status: 204, body: null });
    expect(await readCatalogVersion(gateway)).toBeGreaterThan(before);
    expect(await soldByGateways()).not.toContain('vendor/gone');
    expect((await admin.call('GET', '/models?q=vendor/gone')).body.data).toEqual([]);
    expect((await admin.call('GET', path)).status).toBe(404);
    expect((await admin.call('PATCH', path, { body: {} })).status).toBe(404);
    expect((await admin.call('GET', `/prices/${price.body.id}`)).body).toEqual(price.body);
  });

  it('again changes nothing, and answers 404 for what never was', async () => {
    const path = await createModel('twice-gone');
    await admin.call('DELETE', path);
    const { body: audit } = await admin.call('GET', '/audit?target=model/twice-gone');
    expect(audit.data[0]).toMatchObject({
      action: 'model.delete',
      before: { id: 'twice-gone' },
      after: null,
    });
    expect((await admin.call('DELETE', path)).status).toBe(204);
    expect((await admin.call('GET', '/audit?target=model/twice-gone')).body.data).toEqual(audit.data);
    expect((await admin.call('DELETE', '/models/nothing')).status).toBe(404);
  });

  it('never gives its id to another model, and says so', async () => {
    await admin.call('DELETE', await createModel('used-up'));
    const again = await admin.call('POST', '/models', { body: { id: 'used-up' } });
    expect([again.status, again.body.code]).toEqual([409, 'name_taken']);
    expect(again.body.detail).toContain('never used again');
  });

  it('leaves nothing that could name it anew: no price, no deployment, no key', async () => {
    await admin.call('DELETE', await createModel('unnameable'));
    const { body: account } = await admin.call('POST', '/accounts', { body: { name: 'Ada' } });
    const naming = [
      ['/prices', { model: 'unnameable', rates: { input: '1', output: '1' } }, '/model'],
      ['/deployments', { name: 'n', baseUrl: LOCAL, models: [{ model: 'unnameable' }] }, '/models/0/model'],
      [`/accounts/${account.id}/api-keys`, { name: 'k', allowedModels: ['unnameable'] }, '/allowedModels/0'],
    ] as const;
    for (const [path, body, pointer] of naming) {
      const answer = await admin.call('POST', path, { body });
      expect([path, answer.status, answer.body.errors[0].pointer]).toEqual([path, 422, pointer]);
    }
  });

  it('is refused while an active deployment serves it, and names what to do', async () => {
    const path = await createModel('served');
    const deployment = await deploy('the serving one', ['served']);
    const refused = await admin.call('DELETE', path);
    expect([refused.status, refused.body.code]).toEqual([409, 'in_use']);
    expect(refused.body.detail).toContain('"the serving one"');
    await admin.call('PATCH', deployment, { body: { status: 'disabled' } });
    expect((await admin.call('DELETE', path)).status).toBe(204);
    const { body } = await admin.call('GET', deployment);
    expect(body.models).toEqual([]);
    expect((await admin.call('GET', '/deployments?model=served')).body.data).toEqual([]);
    const again = await admin.call('PATCH', deployment, { body: { status: 'active', models: body.models } });
    expect(again.status).toBe(200);
  });

  it('and a deployment that begins to serve it in the same moment do not both win', async () => {
    for (let round = 0; round < 10; round += 1) {
      const model = `raced-${round}`;
      const path = await createModel(model);
      const body = { name: model, baseUrl: LOCAL, models: [{ model }] };
      const [deleted, deployed] = await Promise.all([
        admin.call('DELETE', path),
        admin.call('POST', '/deployments', { body }),
      ]);
      expect([
        [204, 422],
        [409, 201],
      ]).toContainEqual([deleted.status, deployed.status]);
    }
  });
});

describe('GET /models?q=', () => {
  it('finds by part of an id or of a display name, and takes no pattern', async () => {
    await admin.call('POST', '/models', { body: { id: 'q/Alpha_1', displayName: 'First % of all' } });
    await admin.call('POST', '/models', { body: { id: 'q/beta-2' } });
    const find = async (text: string) =>
      (await admin.call('GET', `/models?q=${encodeURIComponent(text)}`)).body.data.map(
        ({ id }: { id: string }) => id,
      );
    expect(await find('q/ALPHA')).toEqual(['q/Alpha_1']);
    expect(await find('first %')).toEqual(['q/Alpha_1']);
    expect(await find('alpha%')).toEqual([]);
    expect(await find('q/')).toEqual(['q/beta-2', 'q/Alpha_1']);
  });
});
