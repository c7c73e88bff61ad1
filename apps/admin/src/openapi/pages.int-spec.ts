import { startAdmin, type AdminUnderTest } from '../admin.spec-kit.js';

let admin: AdminUnderTest;
beforeAll(async () => {
  admin = await startAdmin();
});
afterAll(() => admin.stop());

const get = (url: string) => admin.app.inject({ url });

describe('the pages about this API', () => {
  it('serve the document to everybody', async () => {
    const { statusCode, headers, body } = await get('/admin/openapi.json');
    expect([statusCode, headers['content-type']]).toEqual([200, 'application/json; charset=utf-8']);
    expect(JSON.parse(body)).toMatchObject({ openapi: '3.1.0', info: { title: 'Tollgate admin API' } });
  });

  it('show it with files of this server alone', async () => {
    const page = await get('/admin/docs');
    expect([page.statusCode, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    const files = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url = '']) => url);
    expect(files).toHaveLength(4);
    for (const url of files) {
      expect(url).toMatch(/^\/admin\/docs\//);
      const file = await get(url);
      expect([url, file.statusCode]).toEqual([url, 200]);
      expect(file.rawPayload.length).toBeGreaterThan(50);
    }
    expect((await get('/admin/docs/start.js')).body).toContain('"url":"/admin/openapi.json"');
  });

  it('run no inline script or style and load nothing from elsewhere', async () => {
    const { headers, body } = await get('/admin/docs');
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      'content-security-policy': expect.stringContaining(
        "default-src 'none'; script-src 'self'; style-src 'self'",
      ),
    });
    expect(headers['content-security-policy']).not.toContain('unsafe');
    expect(body).not.toMatch(/<script>|<style|style=| on\w+=/);
  });

  it.each(['/', '/admin', '/admin/docs/'])('are where %s leads to, for everybody', async (url) => {
    const { statusCode, headers, body } = await get(url);
    expect([statusCode, headers['location'], body]).toEqual([308, '/admin/docs', '']);
  });

  it('are the only public paths beside them: what they describe needs a token', async () => {
    for (const url of [
      '/admin/',
      '//',
      '/admin/docs//',
      '/admin/v1',
      '/admin/docs/index.html',
      '/admin/docs/../v1/me',
      '/admin/v1/accounts',
    ]) {
      expect([url, (await get(url)).statusCode]).toEqual([url, 401]);
    }
    for (const url of ['/', '/admin', '/admin/docs', '/admin/docs/']) {
      const { statusCode, headers } = await admin.app.inject({ method: 'POST', url });
      expect([url, statusCode, headers['content-type']]).toEqual([
        url,
        401,
        'application/problem+json; charset=utf-8',
      ]);
    }
  });
});
