import { insertOperator, startAdmin, type AdminUnderTest } from '../admin.spec-kit.js';

let admin: AdminUnderTest;
beforeAll(async () => {
  admin = await startAdmin();
});
afterAll(() => admin.stop());

async function ask(authorization: string | undefined, url = '/admin/v1/me') {
  const headers = authorization === undefined ? {} : { authorization };
  return admin.app.inject({ method: 'GET', url, headers });
}

describe('operator tokens', () => {
  it('name the operator', async () => {
    const { status, body } = await admin.call('GET', '/me');
    expect([status, body]).toEqual([200, { id: expect.any(String), name: 'tester', access: 'full' }]);
  });

  it('are needed for every path, known or not, and refused in one and the same way', async () => {
    const answers = await Promise.all([
      ask(undefined),
      ask(''),
      ask('Bearer'),
      ask('Bearer '),
      ask(`Basic ${admin.token}`),
      ask(admin.token),
      ask(`Bearer ${admin.token}x`),
      ask(`Bearer ${admin.token} ${admin.token}`),
      ask(`Bearer ${'x'.repeat(5_000)}`),
      ask('Bearer é'),
      ask(undefined, '/admin/v1/nothing'),
      ask(undefined, '/%61dmin/v1/accounts'),
      ask(undefined, '/nothing'),
    ]);
    for (const answer of answers) {
      expect(answer.statusCode).toBe(401);
      expect(answer.headers['www-authenticate']).toBe('Bearer');
      expect({ ...answer.json(), requestId: '' }).toEqual({ ...answers[0]?.json(), requestId: '' });
    }
  });

  it('are not needed to ask how the process is', async () => {
    expect((await ask(undefined, '/health/live')).statusCode).toBe(200);
    const ready = await ask(undefined, '/health/ready');
    expect([ready.statusCode, ready.json()]).toEqual([200, { status: 'ok' }]);
  });

  it('end when they are revoked, at once', async () => {
    const token = await insertOperator(admin, 'leaver');
    expect((await ask(`Bearer ${token}`)).statusCode).toBe(200);
    await admin.owner.query(`UPDATE tollgate.operator_token SET revoked_at = now() WHERE name = 'leaver'`);
    expect((await ask(`Bearer ${token}`)).statusCode).toBe(401);
  });

  it('remember when they were used, at most once a minute', async () => {
    const token = await insertOperator(admin, 'clocked');
    const lastUsed = async () => {
      const { rows } = await admin.owner.query(
        `SELECT last_used_at FROM tollgate.operator_token WHERE name = 'clocked'`,
      );
      return rows[0].last_used_at?.getTime() ?? null;
    };
    expect(await lastUsed()).toBeNull();
    await ask(`Bearer ${token}`);
    const first = await lastUsed();
    expect(Math.abs(first - Date.now())).toBeLessThan(10_000);
    await ask(`Bearer ${token}`);
    expect(await lastUsed()).toBe(first);
    await admin.owner.query(
      `UPDATE tollgate.operator_token SET last_used_at = now() - interval '61 s' WHERE name = 'clocked'`,
    );
    await ask(`Bearer ${token}`);
    expect(await lastUsed()).toBeGreaterThanOrEqual(first);
  });

  it('belong to one installation: another master key knows none of them', async () => {
    const other = await startAdmin();
    const answer = await other.app.inject({
      method: 'GET',
      url: '/admin/v1/me',
      headers: { authorization: `Bearer ${admin.token}` },
    });
    await other.stop();
    expect(answer.statusCode).toBe(401);
  });
});
