import { eventually } from '@tollgate/testing';
import { startAdmin, type AdminUnderTest } from './admin.spec-kit.js';

let admin: AdminUnderTest;

beforeAll(async () => {
  admin = await startAdmin();
});

afterAll(() => admin?.stop());

async function scrape(headers: Record<string, string> = {}, remoteAddress = '127.0.0.1') {
  return admin.app.inject({ method: 'GET', url: '/metrics', headers, remoteAddress });
}

describe('the metrics of admin', () => {
  it('need no operator token on this machine, and do not exist for others', async () => {
    expect((await scrape()).statusCode).toBe(200);
    for (const answer of [await scrape({ forwarded: 'for=203.0.113.9' }), await scrape({}, '203.0.113.9')]) {
      expect([answer.statusCode, answer.json()]).toEqual([
        404,
        expect.objectContaining({ code: 'not_found' }),
      ]);
    }
  });

  it('count requests by route, changes by action, and tokens that nobody has', async () => {
    const { body } = await admin.call('POST', '/accounts', { body: { name: 'canary-name' } });
    await admin.call('GET', `/accounts/${body.id}`);
    await admin.app.inject({
      method: 'GET',
      url: '/admin/v1/me',
      headers: { authorization: 'Bearer wrong' },
    });
    await eventually(async () => {
      const text = (await scrape()).body;
      expect(text).toContain(
        'tollgate_admin_requests_total{route="/admin/v1/accounts",method="POST",status="201"} 1',
      );
      expect(text).toContain(
        'tollgate_admin_requests_total{route="/admin/v1/accounts/:id",method="GET",status="200"} 1',
      );
      expect(text).toMatch(/tollgate_admin_changes_total\{action="[\w.-]+"\} 1/);
      expect(text).toContain('tollgate_admin_auth_failures_total 1');
      expect(text).toMatch(/tollgate_database_connections\{state="(busy|idle)"\} [1-9]/);
      for (const secret of [body.id, 'canary-name', admin.token]) expect(text).not.toContain(secret);
    });
  });

  it('ask for a token of their own where there is one, which is not an operator’s', async () => {
    const guarded = await startAdmin({ METRICS_TOKEN: 'a-metrics-token-of-some-length' });
    const ask = (token: string) =>
      guarded.app.inject({ method: 'GET', url: '/metrics', headers: { authorization: `Bearer ${token}` } });
    expect((await ask('a-metrics-token-of-some-length')).statusCode).toBe(200);
    const refused = await ask(guarded.token);
    expect([refused.statusCode, refused.headers['www-authenticate']]).toEqual([401, 'Bearer']);
    expect(refused.json()).toMatchObject({
      code: 'invalid_metrics_token',
      title: 'The metrics token is required',
      detail: expect.stringContaining('Send the metrics token'),
    });
    await guarded.stop();
  });
});
