import { z } from 'zod';
import { freshKey, openAccount, startAdmin, type AdminUnderTest } from '../admin.spec-kit.js';

let admin: AdminUnderTest;
let url: string;
beforeAll(async () => {
  admin = await startAdmin();
  await admin.app.listen(0, '127.0.0.1');
  url = await admin.app.getUrl();
});
afterAll(() => admin.stop());

let made = 0;

/** One item of each kind: how it is made, where it is, and what of it is changed. */
const KINDS = {
  account: {
    make: () => admin.call('POST', '/accounts', { body: { name: 'Ada' } }),
    pathOf: (id: string) => `/accounts/${id}`,
    field: 'name',
    deletable: false,
  },
  'API key': {
    make: async () => {
      const accountId = await openAccount(admin);
      return admin.call('POST', `/accounts/${accountId}/api-keys`, { body: { name: 'a' } });
    },
    pathOf: (id: string) => `/api-keys/${id}`,
    field: 'name',
    deletable: true,
  },
  model: {
    make: () => admin.call('POST', '/models', { body: { id: `vendor/m-${(made += 1)}` } }),
    pathOf: (id: string) => `/models/${encodeURIComponent(id)}`,
    field: 'displayName',
    deletable: true,
  },
  deployment: {
    make: () =>
      admin.call('POST', '/deployments', {
        body: { name: `d-${(made += 1)}`, baseUrl: 'http://127.0.0.1:1' },
      }),
    pathOf: (id: string) => `/deployments/${id}`,
    field: 'name',
    deletable: true,
  },
} as const;

type Kind = keyof typeof KINDS;
const kinds = Object.keys(KINDS) as Kind[];

async function makeOne(kind: Kind) {
  const { make, pathOf, field } = KINDS[kind];
  const { status, body, headers } = await make();
  expect(status).toBe(201);
  const change = (): Record<string, string> => ({ [field]: `changed ${(made += 1)}` });
  return { path: pathOf(z.string().parse(body.id)), tag: z.string().parse(headers.etag), change };
}

describe.each(kinds)('the tag of one %s', (kind) => {
  it('comes with every answer about it, and changes with it alone', async () => {
    const { path, tag, change } = await makeOne(kind);
    expect(tag).toMatch(/^"[\w-]{22}"$/);
    expect((await admin.call('GET', path)).headers.etag).toBe(tag);
    await makeOne(kind);
    expect((await admin.call('GET', path)).headers.etag).toBe(tag);
    const changed = await admin.call('PATCH', path, { body: change(), headers: { 'if-match': tag } });
    expect(changed.status).toBe(200);
    expect(changed.headers.etag).not.toBe(tag);
    expect((await admin.call('GET', path)).headers.etag).toBe(changed.headers.etag);
  });

  it('lets a change through by any tag of a list and by *, and no change by another state', async () => {
    const { path, tag, change } = await makeOne(kind);
    const patch = (ifMatch: string) =>
      admin.call('PATCH', path, { body: change(), headers: { 'if-match': ifMatch } });
    const { headers } = await patch(`"other", ${tag}`);
    expect((await patch('*')).status).toBe(200);
    const before = await admin.call('GET', path);
    for (const stale of [tag, String(headers.etag), `W/${String(before.headers.etag)}`]) {
      const refused = await patch(stale);
      expect([refused.status, refused.body.code]).toEqual([412, 'precondition_failed']);
      expect(refused.body.detail).toContain('Read it again');
    }
    const malformed = await patch('no-quotes');
    expect([malformed.status, malformed.body.code]).toEqual([400, 'malformed_request']);
    expect(await admin.call('GET', path)).toMatchObject({ body: before.body });
  });

  it('lets one of two editors win, whatever the order: both read the same state', async () => {
    const { path, change } = await makeOne(kind);
    for (let round = 0; round < 8; round += 1) {
      const tag = String((await admin.call('GET', path)).headers.etag);
      const bodies = [change(), change(), change()];
      const answers = await Promise.all(
        bodies.map((body) =>
          fetch(`${url}/admin/v1${path}`, {
            method: 'PATCH',
            headers: {
              authorization: `Bearer ${admin.token}`,
              'content-type': 'application/json',
              'if-match': tag,
            },
            body: JSON.stringify(body),
          }),
        ),
      );
      const statuses = answers.map(({ status }) => status);
      expect([...statuses].sort()).toEqual([200, 412, 412]);
      const { body } = await admin.call('GET', path);
      expect(body).toMatchObject(bodies[statuses.indexOf(200)] ?? {});
    }
  });

  it('writes no audit row where it stops a change', async () => {
    const { path, change } = await makeOne(kind);
    const { body: before } = await admin.call('GET', '/audit?limit=1');
    await admin.call('PATCH', path, { body: change(), headers: { 'if-match': '"other"' } });
    expect((await admin.call('GET', '/audit?limit=1')).body.data).toEqual(before.data);
  });
});

describe.each(kinds.filter((kind) => KINDS[kind].deletable))('DELETE of one %s', (kind) => {
  it('is stopped by another state, and needs no state once it is done', async () => {
    const { path, tag } = await makeOne(kind);
    const remove = (ifMatch: string) => admin.call('DELETE', path, { headers: { 'if-match': ifMatch } });
    expect(await remove('"other"')).toMatchObject({ status: 412, body: { code: 'precondition_failed' } });
    expect((await admin.call('GET', path)).headers.etag).toBe(tag);
    expect((await remove(tag)).status).toBe(204);
    expect((await remove(tag)).status).toBe(204);
  });
});

describe('the tag of an account', () => {
  it('does not move with its balance, but with its floor', async () => {
    const { path, tag } = await makeOne('account');
    await admin.call('POST', `${path}/top-ups`, { body: { amount: '5' }, headers: freshKey() });
    const read = await admin.call('GET', path);
    expect([read.body.balance.posted, read.headers.etag]).toEqual(['5', tag]);
    const floored = await admin.call('PATCH', path, { body: { floor: '1' }, headers: { 'if-match': tag } });
    expect(floored.status).toBe(200);
    expect(floored.headers.etag).not.toBe(tag);
  });
});

describe('the tag of a model', () => {
  it('does not move with what makes it sellable', async () => {
    const { path, tag } = await makeOne('model');
    const { body } = await admin.call('GET', path);
    await admin.call('POST', '/prices', { body: { model: body.id, rates: { input: '1', output: '1' } } });
    const priced = await admin.call('GET', path);
    expect([priced.body.reason, priced.headers.etag]).toEqual(['no_deployment', tag]);
  });
});

describe('the tag of a deployment', () => {
  it('moves with its credential, which nobody sees', async () => {
    const { path, tag } = await makeOne('deployment');
    const patched = await admin.call('PATCH', path, { body: { credential: 'sk-new' } });
    const { updatedAt: _, ...shown } = patched.body;
    expect((await admin.call('GET', path)).body).toMatchObject(shown);
    expect(patched.headers.etag).not.toBe(tag);
  });
});
