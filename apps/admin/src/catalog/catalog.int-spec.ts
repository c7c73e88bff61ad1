import { randomUUID } from 'node:crypto';
import { startAdmin, type AdminUnderTest } from '../admin.spec-kit.js';
import { deploymentSchema } from './deployment.schema.js';
import { modelSchema } from './model.schema.js';

let admin: AdminUnderTest;
beforeAll(async () => {
  admin = await startAdmin();
});
afterAll(() => admin.stop());

const LOCAL = 'http://127.0.0.1:8083/v1';

async function createModel(id: string) {
  return admin.call('POST', '/models', { body: { id } });
}

describe('models', () => {
  it('are created with a public name and limits', async () => {
    const { status, body } = await admin.call('POST', '/models', {
      body: { id: 'zhipu/glm-5:free', displayName: 'GLM 5', contextTokens: 131072, outputTokensMax: 16384 },
    });
    expect(status).toBe(201);
    expect(modelSchema.parse(body)).toMatchObject({
      id: 'zhipu/glm-5:free',
      displayName: 'GLM 5',
      ownedBy: 'tollgate',
      sellable: false,
      reason: 'no_price',
    });
    const read = await admin.call('GET', `/models/${encodeURIComponent('zhipu/glm-5:free')}`);
    expect(read.body).toEqual(body);
  });

  it('say what keeps them from being sold', async () => {
    await createModel('sold');
    const reason = async () => (await admin.call('GET', '/models/sold')).body.reason;
    expect(await reason()).toBe('no_price');
    await admin.call('POST', '/prices', {
      body: { model: 'sold', rates: { input: '1', output: '2' }, effectiveFrom: '2099-01-01T00:00:00Z' },
    });
    expect(await reason()).toBe('no_price');
    await admin.call('POST', '/prices', { body: { model: 'sold', rates: { input: '1', output: '2' } } });
    expect(await reason()).toBe('no_deployment');
    const deployment = { name: 'off', baseUrl: LOCAL, models: [{ model: 'sold' }], status: 'disabled' };
    await admin.call('POST', '/deployments', { body: deployment });
    expect(await reason()).toBe('no_deployment');
    await admin.call('POST', '/deployments', { body: { ...deployment, name: 'on', status: 'active' } });
    const { body } = await admin.call('GET', '/models/sold');
    expect([body.sellable, body.reason]).toEqual([true, null]);
  });

  it('are listed newest first, page by page', async () => {
    for (const id of ['m1', 'm2', 'm3']) await createModel(id);
    const first = await admin.call('GET', '/models?limit=2');
    expect(first.body.data.map(({ id }: { id: string }) => id)).toEqual(['m3', 'm2']);
    const second = await admin.call('GET', `/models?limit=1&cursor=${first.body.nextCursor}`);
    expect(second.body.data.map(({ id }: { id: string }) => id)).toEqual(['m1']);
  });

  it('have a name of their own', async () => {
    await createModel('unique');
    const again = await createModel('unique');
    expect([again.status, again.body.code]).toEqual([409, 'name_taken']);
  });

  it.each([
    ['/id', { id: '' }],
    ['/id', { id: 'has blank' }],
    ['/id', { id: 'x'.repeat(257) }],
    ['/contextTokens', { id: 'a', contextTokens: 0 }],
    ['/contextTokens', { id: 'a', contextTokens: 1.5 }],
    ['/contextTokens', { id: 'a', contextTokens: 1e21 }],
    ['/outputTokensMax', { id: 'a', outputTokensMax: '5' }],
  ])('points at %s', async (pointer, body) => {
    const answer = await admin.call('POST', '/models', { body });
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, pointer]);
  });

  it('answer 404 when they do not exist', async () => {
    for (const id of ['nothing', 'has%20blank', '%E4%BD%A0', `${'x'.repeat(2000)}`]) {
      expect((await admin.call('GET', `/models/${id}`)).status).toBeLessThan(500);
    }
    expect((await admin.call('GET', '/models/nothing')).status).toBe(404);
  });
});

describe('deployments', () => {
  beforeAll(() => createModel('glm-5'));

  it('keep their credential sealed and never show it', async () => {
    const credential = 'sk-upstream-canary';
    const { status, body } = await admin.call('POST', '/deployments', {
      body: {
        name: 'zhipu',
        externalId: 'd-1',
        baseUrl: `${LOCAL}/`,
        credential,
        models: [{ model: 'glm-5', upstreamModel: 'glm-5-air', priority: 1, weight: 3 }],
        apis: ['chat', 'embeddings'],
        settings: { firstByteTimeoutMs: 30_000, drainOnAbortMs: 0 },
      },
    });
    expect(status).toBe(201);
    expect(deploymentSchema.parse(body)).toMatchObject({
      name: 'zhipu',
      provider: 'openai',
      baseUrl: LOCAL,
      status: 'active',
      apis: ['chat', 'embeddings'],
      settings: { firstByteTimeoutMs: 30_000, drainOnAbortMs: 0 },
      models: [{ model: 'glm-5', upstreamModel: 'glm-5-air', priority: 1, weight: 3 }],
    });
    const answers = [
      body,
      (await admin.call('GET', `/deployments/${body.id}`)).body,
      (await admin.call('GET', '/deployments?model=glm-5')).body,
      (await admin.call('GET', '/audit')).body,
    ];
    expect(JSON.stringify(answers)).not.toContain(credential);
    const { rows } = await admin.owner.query('SELECT credential FROM tollgate.deployment WHERE id = $1', [
      body.id,
    ]);
    expect(rows[0].credential).not.toContain(credential);
    expect(admin.config.MASTER_KEY.open('credential', rows[0].credential)).toBe(credential);
  });

  it('serve a model under its public name unless told', async () => {
    const { body } = await admin.call('POST', '/deployments', {
      body: { name: 'plain', baseUrl: LOCAL, models: [{ model: 'glm-5' }] },
    });
    expect(body).toMatchObject({
      models: [{ model: 'glm-5', upstreamModel: 'glm-5', priority: 0, weight: 1 }],
      apis: null,
    });
  });

  it.each([
    ['/baseUrl', { baseUrl: 'ftp://127.0.0.1/' }],
    ['/baseUrl', { baseUrl: 'nonsense' }],
    ['/baseUrl', { baseUrl: 'http://user:pass@127.0.0.1/' }],
    ['/baseUrl', { baseUrl: 'http://169.254.169.254/latest' }],
    ['/baseUrl', { baseUrl: 'http://[::ffff:169.254.169.254]/' }],
    ['/baseUrl', { baseUrl: 'http://0.0.0.0/' }],
    ['/models/1/model', { models: [{ model: 'glm-5' }, { model: 'glm-6' }] }],
    ['/models', { models: [{ model: 'glm-5' }, { model: 'glm-5' }] }],
    ['/models/0/wieght', { models: [{ model: 'glm-5', wieght: 1 }] }],
    ['/models/0/weight', { models: [{ model: 'glm-5', weight: -1 }] }],
    ['/provider', { provider: 'anthropic' }],
    ['/credential', { credential: 'line\nbreak' }],
    ['/apis/0', { apis: ['telepathy'] }],
    ['/settings/firstByteTimeout', { settings: { firstByteTimeout: 5 } }],
    ['/settings/firstByteTimeoutMs', { settings: { firstByteTimeoutMs: 600_001 } }],
  ])('point at %s of %j', async (pointer, fields) => {
    const answer = await admin.call('POST', '/deployments', {
      body: { name: 'x', baseUrl: LOCAL, ...fields },
    });
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, pointer]);
  });

  it('have a name of their own, and leave nothing behind when it is taken', async () => {
    const body = { name: 'twice', baseUrl: LOCAL, models: [{ model: 'glm-5' }] };
    await admin.call('POST', '/deployments', { body });
    const again = await admin.call('POST', '/deployments', { body });
    expect([again.status, again.body.code]).toEqual([409, 'name_taken']);
    const { rows } = await admin.owner.query(`SELECT FROM tollgate.deployment WHERE name = 'twice'`);
    expect(rows).toHaveLength(1);
  });

  it('are filtered by status and external id', async () => {
    const find = async (query: string) => (await admin.call('GET', `/deployments?${query}`)).body.data;
    expect(await find('externalId=d-1')).toHaveLength(1);
    expect(
      (await find('status=disabled')).every(({ status }: { status: string }) => status === 'disabled'),
    ).toBe(true);
    expect(await find('externalId=none')).toEqual([]);
    expect((await admin.call('GET', `/deployments/${randomUUID()}`)).status).toBe(404);
  });
});

describe('deployments where private networks are denied', () => {
  let denying: AdminUnderTest;
  beforeAll(async () => {
    denying = await startAdmin({ UPSTREAM_PRIVATE_NETWORKS: 'deny' });
  });
  afterAll(() => denying.stop());

  it.each([LOCAL, 'http://localhost:8083/', 'http://10.0.0.1/', 'http://[::1]/', 'http://192.168.1.1/v1'])(
    'do not lead to %s',
    async (baseUrl) => {
      const answer = await denying.call('POST', '/deployments', { body: { name: 'x', baseUrl } });
      expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, '/baseUrl']);
      expect(answer.body.errors[0].message).toMatch(/private network/);
    },
  );
});
