import { createPool } from '@tollgate/persistence';
import { startAdmin, type AdminUnderTest, type Answer } from '../admin.spec-kit.js';
import { resetOperator } from './reset-operator.js';

let admin: AdminUnderTest;
beforeEach(async () => {
  admin = await startAdmin();
});
afterEach(() => admin.stop());

type Method = Parameters<AdminUnderTest['call']>[0];

/** Calls as the operator of another token. */
function as(token: string, ...[method, path, body]: [Method, string, unknown?]): Promise<Answer> {
  return admin.call(method, path, {
    headers: { authorization: `Bearer ${token}` },
    ...(body !== undefined && { body }),
  });
}

async function make(name: string, access?: string): Promise<{ id: string; token: string }> {
  const { status, body } = await admin.call('POST', '/operator-tokens', { body: { name, access } });
  expect(status).toBe(201);
  return body;
}

async function ownId(): Promise<string> {
  return (await admin.call('GET', '/me')).body.id;
}

function codeOf({ status, body }: Answer): [number, unknown] {
  return [status, body?.code];
}

describe('operator tokens', () => {
  it('are shown once, work at once, and are stored as their HMAC alone', async () => {
    const made = await admin.call('POST', '/operator-tokens', { body: { name: 'Grace' } });
    expect([made.status, made.body]).toEqual([
      201,
      {
        id: expect.any(String),
        name: 'Grace',
        access: 'full',
        last4: made.body.token.slice(-4),
        status: 'active',
        createdAt: expect.any(String),
        lastUsedAt: null,
        revokedAt: null,
        token: expect.stringMatching(/^tgop_[0-9A-Za-z]{48}$/),
      },
    ]);
    const { token, ...shown } = made.body;
    const read = await admin.call('GET', `/operator-tokens/${made.body.id}`);
    expect(read.body).toEqual(shown);
    expect(read.headers['etag']).toBe(made.headers['etag']);
    expect((await as(token, 'GET', '/me')).body).toEqual({ id: shown.id, name: 'Grace', access: 'full' });
    const { rows } = await admin.owner.query(
      `SELECT (SELECT string_agg(t::text, '') FROM tollgate.operator_token t)
           || (SELECT string_agg(a::text, '') FROM tollgate.audit_log a) AS all`,
    );
    expect(rows[0].all).toContain('Grace');
    expect(rows[0].all).not.toContain(token);
  });

  it('have names that no other active token has', async () => {
    const { id } = await make('Grace');
    expect(codeOf(await admin.call('POST', '/operator-tokens', { body: { name: 'Grace' } }))).toEqual([
      409,
      'name_taken',
    ]);
    const other = await make('Ada');
    const renamed = await admin.call('PATCH', `/operator-tokens/${other.id}`, { body: { name: 'Grace' } });
    expect(codeOf(renamed)).toEqual([409, 'name_taken']);
    await admin.call('DELETE', `/operator-tokens/${id}`);
    await make('Grace');
  });

  it.each([
    [{}, '/name'],
    [{ name: '' }, '/name'],
    [{ name: 'x\ny' }, '/name'],
    [{ name: 'x', access: 'root' }, '/access'],
    [{ name: 'x', token: 'mine' }, '/token'],
  ])('refuse %j', async (body, pointer) => {
    const refused = await admin.call('POST', '/operator-tokens', { body });
    expect([refused.status, refused.body.errors[0].pointer]).toEqual([422, pointer]);
  });

  it('are listed newest first, by status if asked', async () => {
    await make('Ada');
    const { id } = await make('Grace');
    await admin.call('DELETE', `/operator-tokens/${id}`);
    const names = async (query: string) =>
      (await admin.call('GET', `/operator-tokens${query}`)).body.data.map((token: any) => token.name);
    expect(await names('')).toEqual(['Grace', 'Ada', 'tester']);
    expect(await names('?status=active')).toEqual(['Ada', 'tester']);
    expect(await names('?status=revoked')).toEqual(['Grace']);
  });

  it('end at once when they are revoked, for ever, and again is no fault', async () => {
    const { id, token } = await make('leaver');
    expect((await admin.call('DELETE', `/operator-tokens/${id}`)).status).toBe(204);
    expect((await as(token, 'GET', '/me')).status).toBe(401);
    expect((await admin.call('DELETE', `/operator-tokens/${id}`)).status).toBe(204);
    const { body } = await admin.call('GET', `/operator-tokens/${id}`);
    expect(body).toMatchObject({ status: 'revoked', revokedAt: expect.any(String) });
    const patched = await admin.call('PATCH', `/operator-tokens/${id}`, { body: { name: 'again' } });
    expect(codeOf(patched)).toEqual([409, 'already_revoked']);
    const missing = await admin.call(
      'DELETE',
      `/operator-tokens/${id.replace(/.$/, 'f').replace(/^./, '1')}`,
    );
    expect(codeOf(missing)).toEqual([404, 'not_found']);
  });

  it('change only in the state that If-Match names', async () => {
    const { id } = await make('Grace');
    const { headers } = await admin.call('GET', `/operator-tokens/${id}`);
    const ifMatch = { 'if-match': String(headers['etag']) };
    const path = `/operator-tokens/${id}`;
    expect((await admin.call('PATCH', path, { body: { access: 'read' }, headers: ifMatch })).status).toBe(
      200,
    );
    expect(codeOf(await admin.call('PATCH', path, { body: {}, headers: ifMatch }))).toEqual([
      412,
      'precondition_failed',
    ]);
    expect((await admin.call('DELETE', path, { headers: ifMatch })).status).toBe(412);
    expect((await admin.call('PATCH', path, { body: {} })).status).toBe(200);
  });

  it('leave who did what in the audit log', async () => {
    const { id } = await make('Grace', 'read');
    await admin.call('PATCH', `/operator-tokens/${id}`, { body: { access: 'full' } });
    await admin.call('DELETE', `/operator-tokens/${id}`);
    const { rows } = await admin.owner.query(
      'SELECT actor, action, before, after FROM tollgate.audit_log WHERE target = $1 ORDER BY id',
      [`operator_token/${id}`],
    );
    expect(rows).toEqual([
      {
        actor: 'operator:tester',
        action: 'operator_token.create',
        before: null,
        after: expect.objectContaining({ name: 'Grace', access: 'read' }),
      },
      {
        actor: 'operator:tester',
        action: 'operator_token.update',
        before: expect.objectContaining({ access: 'read' }),
        after: expect.objectContaining({ access: 'full' }),
      },
      {
        actor: 'operator:tester',
        action: 'operator_token.revoke',
        before: expect.objectContaining({ status: 'active' }),
        after: expect.objectContaining({ status: 'revoked' }),
      },
    ]);
  });
});

describe('a token with access read', () => {
  it('sees everything and changes nothing, itself included', async () => {
    const { id, token } = await make('Auditor', 'read');
    for (const path of ['/me', '/accounts', '/operator-tokens', '/settings', '/dead-letters', '/audit']) {
      expect([path, (await as(token, 'GET', path)).status]).toEqual([path, 200]);
    }
    const changes: [Method, string, unknown?][] = [
      ['POST', '/accounts', { name: 'x' }],
      ['POST', '/operator-tokens', { name: 'x' }],
      ['PATCH', `/operator-tokens/${id}`, { access: 'full' }],
      ['DELETE', `/operator-tokens/${id}`],
      ['PATCH', '/settings', {}],
      ['POST', '/dead-letters:replay', {}],
      ['POST', '/dead-letters/1/discard', 'this is no object'],
    ];
    for (const [method, path, body] of changes) {
      expect([method, path, codeOf(await as(token, method, path, body))]).toEqual([
        method,
        path,
        [403, 'forbidden'],
      ]);
    }
  });

  it('is told of unknown paths and methods like everybody', async () => {
    const { token } = await make('Auditor', 'read');
    expect(codeOf(await as(token, 'POST', '/nothing'))).toEqual([404, 'not_found']);
    expect(codeOf(await as(token, 'DELETE', '/accounts'))).toEqual([405, 'method_not_allowed']);
  });

  it('may change things from the moment that it has full access', async () => {
    const { id, token } = await make('Auditor', 'read');
    await admin.call('PATCH', `/operator-tokens/${id}`, { body: { access: 'full' } });
    expect((await as(token, 'POST', '/accounts', { name: 'x' })).status).toBe(201);
  });
});

describe('the last token with full access', () => {
  it('can neither be revoked nor lose its access', async () => {
    await make('Auditor', 'read');
    const path = `/operator-tokens/${await ownId()}`;
    expect(codeOf(await admin.call('DELETE', path))).toEqual([409, 'last_full_access']);
    expect(codeOf(await admin.call('PATCH', path, { body: { access: 'read' } }))).toEqual([
      409,
      'last_full_access',
    ]);
    expect((await admin.call('PATCH', path, { body: { name: 'renamed' } })).status).toBe(200);
    await make('second');
    expect((await admin.call('DELETE', path)).status).toBe(204);
  });

  it('stays, however many operators revoke and downgrade each other at once', async () => {
    for (let round = 0; round < 5; round += 1) {
      const others = await Promise.all(
        [1, 2, 3].map(async (number) => {
          const { id, token } = await make(`operator ${String(round)}.${String(number)}`);
          return { id, token };
        }),
      );
      const all = [{ id: await ownId(), token: admin.token }, ...others];
      // Everybody takes everybody's access away, in both ways.
      const answers = await Promise.all(
        all.flatMap(({ token }, index) =>
          all.map(({ id }, other) =>
            (index + other) % 2 === 0
              ? as(token, 'DELETE', `/operator-tokens/${id}`)
              : as(token, 'PATCH', `/operator-tokens/${id}`, { access: 'read' }),
          ),
        ),
      );
      expect(answers.map(({ status }) => status).filter((status) => status >= 500)).toEqual([]);
      const { rows } = await admin.owner.query(
        `SELECT count(*)::int AS count FROM tollgate.operator_token WHERE access = 'full' AND revoked_at IS NULL`,
      );
      expect(rows[0].count).toBeGreaterThanOrEqual(1);
      // For the next round.
      await admin.owner.query(
        `UPDATE tollgate.operator_token SET access = 'full', revoked_at = NULL WHERE name = 'tester'`,
      );
    }
  });
});

describe('the reset of operators', () => {
  it('gives full access back when nobody has it any more', async () => {
    const { token: other } = await make('Grace');
    await admin.owner.query(`UPDATE tollgate.operator_token SET revoked_at = now() WHERE name = 'tester'`);
    const pool = createPool({ url: admin.config.DATABASE_URL, max: 1, name: 'spec' });
    const { MASTER_KEY } = admin.config;
    const first = await resetOperator(pool, MASTER_KEY, { name: 'First run', revokeOthers: false });
    expect(first).toMatchObject({ replaced: false, revoked: [] });
    expect((await as(other, 'GET', '/me')).status).toBe(200);
    const second = await resetOperator(pool, MASTER_KEY, { name: 'First run', revokeOthers: true });
    await pool.end();
    expect(second).toMatchObject({ replaced: true, revoked: ['Grace'] });
    const statuses = [other, first.token, second.token].map(
      async (token) => (await as(token, 'GET', '/me')).status,
    );
    expect(await Promise.all(statuses)).toEqual([401, 401, 200]);
    const made = await as(second.token, 'POST', '/operator-tokens', { name: 'next' });
    expect(made.status).toBe(201);
    const { rows } = await admin.owner.query(
      `SELECT actor, after FROM tollgate.audit_log WHERE action = 'operator_token.reset' ORDER BY id`,
    );
    expect(rows).toEqual([
      { actor: 'system:operator-reset', after: expect.objectContaining({ name: 'First run', revoked: [] }) },
      {
        actor: 'system:operator-reset',
        // The row names every token that ended with it, the replaced one too.
        after: expect.objectContaining({
          revoked: [
            { id: rows[0].after.id, name: 'First run' },
            { id: expect.any(String), name: 'Grace' },
          ],
        }),
      },
    ]);
  });
});
