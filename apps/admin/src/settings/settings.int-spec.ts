import { createPool } from '@tollgate/persistence';
import { startAdmin, type AdminUnderTest } from '../admin.spec-kit.js';

let admin: AdminUnderTest;
beforeAll(async () => {
  admin = await startAdmin();
});
afterAll(() => admin.stop());

const DEFAULTS = {
  points: { label: 'points', creditsPerPoint: '1' },
  emptyCompletions: 'free',
  dashboardMode: 'month',
  noCreditStatus: 429,
  updatedAt: expect.any(String),
};

describe('settings', () => {
  it('begin with what holds as long as nobody sets anything', async () => {
    const { status, body } = await admin.call('GET', '/settings');
    expect([status, body]).toEqual([200, DEFAULTS]);
  });

  it.each([
    [{ points: { creditsPerPoint: '0' } }, '/points/creditsPerPoint'],
    [{ points: { creditsPerPoint: 1 } }, '/points/creditsPerPoint'],
    [{ points: { creditsPerPoint: '9000001' } }, '/points/creditsPerPoint'],
    [{ points: { label: '' } }, '/points/label'],
    [{ points: { label: 'x'.repeat(41) } }, '/points/label'],
    [{ points: { factor: '1' } }, '/points/factor'],
    [{ points: 'gems' }, '/points'],
    [{ emptyCompletions: 'half' }, '/emptyCompletions'],
    [{ dashboardMode: 'year' }, '/dashboardMode'],
    [{ noCreditStatus: 403 }, '/noCreditStatus'],
    [{ noCreditStatus: '402' }, '/noCreditStatus'],
    [{ theme: 'dark' }, '/theme'],
  ])('refuse %j', async (body, pointer) => {
    const refused = await admin.call('PATCH', '/settings', { body });
    expect([refused.status, refused.body.errors[0].pointer]).toEqual([422, pointer]);
  });

  it('change what is given alone, in the state that If-Match names, and tell gateways and the audit log', async () => {
    const listener = await admin.owner.connect();
    const notices: string[] = [];
    listener.on('notification', ({ payload = '' }) => notices.push(JSON.parse(payload).table));
    await listener.query('LISTEN tollgate_changed');
    const before = await admin.call('GET', '/settings');
    const ifMatch = { 'if-match': String(before.headers['etag']) };
    const points = { label: '积分', creditsPerPoint: '0.001' };
    const first = await admin.call('PATCH', '/settings', { body: { points }, headers: ifMatch });
    expect([first.status, first.body]).toEqual([200, { ...DEFAULTS, points }]);
    expect((await admin.call('GET', '/settings')).headers['etag']).toBe(first.headers['etag']);
    expect((await admin.call('PATCH', '/settings', { body: {}, headers: ifMatch })).status).toBe(412);
    const body = {
      points: { label: 'gems' },
      emptyCompletions: 'charged',
      dashboardMode: 'lifetime',
      noCreditStatus: 402,
    };
    const second = await admin.call('PATCH', '/settings', { body });
    const after = {
      ...body,
      points: { label: 'gems', creditsPerPoint: '0.001' },
      updatedAt: expect.any(String),
    };
    expect(second.body).toEqual(after);
    await listener.query('SELECT 1');
    listener.release(true);
    expect(notices).toEqual(['setting', 'setting']);
    const { rows } = await admin.owner.query(
      `SELECT actor, action, target, before, after FROM tollgate.audit_log ORDER BY id DESC LIMIT 1`,
    );
    expect(rows).toEqual([
      {
        actor: 'operator:tester',
        action: 'settings.update',
        target: 'settings',
        before: first.body,
        after: second.body,
      },
    ]);
  });

  it.each([
    [{ points: { label: null } }, { points: { label: 'points', creditsPerPoint: '2' } }],
    [{ points: { creditsPerPoint: null } }, { points: { label: 'gems', creditsPerPoint: '1' } }],
    [{ points: null }, { points: DEFAULTS.points }],
    [{ emptyCompletions: null }, { emptyCompletions: 'free' }],
    [{ dashboardMode: null }, { dashboardMode: 'month' }],
    [{ noCreditStatus: null }, { noCreditStatus: 429 }],
  ])('give the default back for null: %j', async (patch, expected) => {
    const set = {
      points: { label: 'gems', creditsPerPoint: '2' },
      emptyCompletions: 'charged',
      dashboardMode: 'lifetime',
      noCreditStatus: 402,
    };
    await admin.call('PATCH', '/settings', { body: set });
    const { status, body } = await admin.call('PATCH', '/settings', { body: patch });
    expect([status, body]).toEqual([200, { ...set, ...expected, updatedAt: expect.any(String) }]);
  });

  it('are one row, which the applications can neither delete nor double', async () => {
    const refused = { code: '42501' };
    const app = createPool({ url: admin.config.DATABASE_URL, max: 1, name: 'spec' });
    await expect(app.query('DELETE FROM tollgate.setting')).rejects.toMatchObject(refused);
    await expect(app.query('INSERT INTO tollgate.setting DEFAULT VALUES')).rejects.toMatchObject(refused);
    await app.end();
  });
});
