import { randomUUID } from 'node:crypto';
import { openAccount, startAdmin, type AdminUnderTest } from '../admin.spec-kit.js';
import { accountSchema } from './account.schema.js';

let admin: AdminUnderTest;
beforeAll(async () => {
  admin = await startAdmin();
});
afterAll(() => admin.stop());

describe('POST /accounts', () => {
  it('opens an account with nothing on it and defaults everywhere', async () => {
    const { status, body } = await admin.call('POST', '/accounts', { body: { name: 'Ada' } });
    expect(status).toBe(201);
    expect(accountSchema.parse(body)).toMatchObject({
      name: 'Ada',
      externalId: null,
      status: 'active',
      plan: 'default',
      multiplier: '1',
      dialect: null,
      metadata: {},
      balance: { posted: '0', held: '0', available: '0', floor: '0' },
    });
  });

  it('keeps what is given, to the last decimal', async () => {
    const fields = {
      name: 'Café 李',
      externalId: 'crm-1',
      plan: 'gold',
      multiplier: '0.850001',
      dialect: 'openai',
      metadata: { tags: ['a', 1, null], nested: { deep: true } },
    };
    const { body } = await admin.call('POST', '/accounts', { body: { ...fields, floor: '-12.000000001' } });
    expect(body).toMatchObject({
      ...fields,
      balance: { posted: '0', held: '0', available: '12.000000001', floor: '-12.000000001' },
    });
    const read = await admin.call('GET', `/accounts/${body.id}`);
    expect(read.body).toEqual(body);
  });

  it('refuses a floor above 0: an account opens empty', async () => {
    const { status, body } = await admin.call('POST', '/accounts', {
      body: { name: 'Ada', floor: '0.000000001' },
    });
    expect([status, body.code]).toEqual([409, 'would_break_floor']);
  });

  it('refuses an external id that is taken', async () => {
    const body = { name: 'Ada', externalId: 'twice' };
    await admin.call('POST', '/accounts', { body });
    const again = await admin.call('POST', '/accounts', { body });
    expect([again.status, again.body.code]).toEqual([409, 'external_id_taken']);
  });

  it.each([
    ['/name', { name: '' }],
    ['/name', { name: ' \t ' }],
    ['/name', { name: 'line\nbreak' }],
    ['/name', { name: 'x'.repeat(201) }],
    ['/name', { name: 7 }],
    ['/name', {}],
    ['/nmae', { name: 'Ada', nmae: 'typo' }],
    ['/dialect', { name: 'Ada', dialect: 'klingon' }],
    ['/dialect', { name: 'Ada', dialect: '' }],
    ['/floor', { name: 'Ada', floor: -5 }],
    ['/floor', { name: 'Ada', floor: '-9000000.000000001' }],
    ['/floor', { name: 'Ada', floor: '1e3' }],
    ['/multiplier', { name: 'Ada', multiplier: '1.0000001' }],
    ['/multiplier', { name: 'Ada', multiplier: '-1' }],
    ['/multiplier', { name: 'Ada', multiplier: '1000.1' }],
    ['/multiplier', { name: 'Ada', multiplier: 1 }],
    ['/plan', { name: 'Ada', plan: 'no blanks' }],
    ['/metadata', { name: 'Ada', metadata: [] }],
    ['/metadata', { name: 'Ada', metadata: { big: 'x'.repeat(17_000) } }],
    ['/metadata/a', { name: 'Ada', metadata: { a: 'nul \u0000 here' } }],
    ['/metadata', { name: 'Ada', metadata: { '\ud800': 1 } }],
  ])('points at %s', async (pointer, body) => {
    const answer = await admin.call('POST', '/accounts', { body });
    expect([answer.status, answer.body.code]).toEqual([422, 'validation_failed']);
    expect(answer.body.errors).toContainEqual({ pointer, message: expect.any(String) });
  });
});

describe('GET /accounts/{id}', () => {
  it('answers 404 for an unknown id and for what is no id', async () => {
    for (const id of [randomUUID(), 'nothing', '%00', '..%2f..', `${'f'.repeat(600)}`]) {
      const { status, body } = await admin.call('GET', `/accounts/${id}`);
      expect([id, status, body.code]).toEqual([id, 404, 'not_found']);
    }
  });

  it('shows open request holds as held, and not what is set aside for a hold store', async () => {
    const { body } = await admin.call('POST', '/accounts', { body: { name: 'Ada', floor: '-2' } });
    await admin.owner.query('UPDATE tollgate.account SET posted = 10e9, held = 5e9 WHERE id = $1', [body.id]);
    await admin.owner.query(
      `INSERT INTO tollgate.reservation (id, account_id, kind, granted, used, released, state)
       VALUES ($1, $3, 'request', 3e9, 1e9, 0, 'open'), ($2, $3, 'escrow', 4e9, 0, 1e9, 'closing')`,
      [randomUUID(), randomUUID(), body.id],
    );
    const read = await admin.call('GET', `/accounts/${body.id}`);
    expect(read.body.balance).toEqual({ posted: '10', held: '2', available: '10', floor: '-2' });
  });
});

describe('PATCH /accounts/{id}', () => {
  it('changes what is given, merges metadata and writes one audit row', async () => {
    const created = await admin.call('POST', '/accounts', {
      body: { name: 'Ada', externalId: 'patched', metadata: { keep: 1, drop: 2, nested: { a: 1 } } },
    });
    const path = `/accounts/${created.body.id}`;
    const patch = { status: 'suspended', metadata: { drop: null, nested: { b: 2 } }, multiplier: '2' };
    const { status, body } = await admin.call('PATCH', path, {
      body: patch,
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      name: 'Ada',
      externalId: 'patched',
      status: 'suspended',
      multiplier: '2',
      metadata: { keep: 1, nested: { a: 1, b: 2 } },
    });
    expect(body.metadata).not.toHaveProperty('drop');
    const audit = await admin.call('GET', `/audit?target=account/${created.body.id}`);
    expect(audit.body.data[0]).toMatchObject({ action: 'account.update', before: created.body, after: body });
  });

  it('empties what null empties, and leaves everything for an empty patch', async () => {
    const created = await admin.call('POST', '/accounts', {
      body: { name: 'Ada', externalId: 'emptied', metadata: { a: 1 } },
    });
    const path = `/accounts/${created.body.id}`;
    const same = await admin.call('PATCH', path, { body: {} });
    expect(same.body).toEqual({ ...created.body, updatedAt: expect.any(String) });
    const emptied = await admin.call('PATCH', path, { body: { externalId: null, metadata: null } });
    expect(emptied.body).toMatchObject({ externalId: null, metadata: {} });
  });

  it('gives an account a dialect, takes it away, and tells gateways', async () => {
    const { body } = await admin.call('POST', '/accounts', { body: { name: 'Ada' } });
    const path = `/accounts/${body.id}`;
    const before = await admin.owner.query('SELECT version FROM tollgate.catalog_version');
    expect((await admin.call('PATCH', path, { body: { dialect: 'openai' } })).body.dialect).toBe('openai');
    const after = await admin.owner.query('SELECT version FROM tollgate.catalog_version');
    expect(Number(after.rows[0].version)).toBeGreaterThan(Number(before.rows[0].version));
    expect((await admin.call('PATCH', path, { body: { name: 'Bo' } })).body.dialect).toBe('openai');
    expect((await admin.call('PATCH', path, { body: { dialect: null } })).body.dialect).toBeNull();
  });

  it('sets the floor that the balance allows, and tells gateways', async () => {
    const id = await openAccount(admin, '10');
    const path = `/accounts/${id}`;
    const before = await admin.owner.query('SELECT version FROM tollgate.catalog_version');
    const line = await admin.call('PATCH', path, { body: { floor: '-2.5', name: 'Bo' } });
    expect(line.body).toMatchObject({
      name: 'Bo',
      balance: { posted: '10', held: '0', available: '12.5', floor: '-2.5' },
    });
    const after = await admin.owner.query('SELECT version FROM tollgate.catalog_version');
    expect(Number(after.rows[0].version)).toBeGreaterThan(Number(before.rows[0].version));
    const reserve = await admin.call('PATCH', path, { body: { floor: '10' } });
    expect(reserve.body.balance).toEqual({ posted: '10', held: '0', available: '0', floor: '10' });
    const { body: audit } = await admin.call('GET', `/audit?target=account/${id}`);
    expect(audit.data[0]).toMatchObject({
      action: 'account.update',
      before: { balance: { floor: '-2.5' } },
      after: { balance: { floor: '10' } },
    });
  });

  it('refuses a floor above what is there and not held, and then changes nothing else either', async () => {
    const id = await openAccount(admin, '10');
    await admin.owner.query(`SELECT * FROM tollgate.hold_batch($1)`, [
      JSON.stringify([{ r: randomUUID(), a: id, total: 4e9, ttl: 90 }]),
    ]);
    const { body: before } = await admin.call('GET', `/accounts/${id}`);
    const refused = await admin.call('PATCH', `/accounts/${id}`, { body: { floor: '6.1', name: 'Bo' } });
    expect([refused.status, refused.body.code]).toEqual([409, 'would_break_floor']);
    expect(refused.body.detail).toContain('lower floor');
    expect((await admin.call('GET', `/accounts/${id}`)).body).toEqual(before);
    const allowed = await admin.call('PATCH', `/accounts/${id}`, { body: { floor: '6' } });
    expect(allowed.body.balance.available).toBe('0');
  });

  it.each(['-9000000.000000001', 5, '1e3', null])('takes no floor of %j', async (floor) => {
    const { body } = await admin.call('POST', '/accounts', { body: { name: 'Ada' } });
    const answer = await admin.call('PATCH', `/accounts/${body.id}`, { body: { floor } });
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, '/floor']);
  });

  it('does not move money: the balance is not a field of it', async () => {
    const { body } = await admin.call('POST', '/accounts', { body: { name: 'Ada' } });
    const answer = await admin.call('PATCH', `/accounts/${body.id}`, { body: { balance: { posted: '5' } } });
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, '/balance']);
  });
});

describe('GET /accounts', () => {
  it('gives every account once, newest first, page by page', async () => {
    const { rows } = await admin.owner.query('SELECT id FROM tollgate.account ORDER BY id DESC');
    const seen: string[] = [];
    let cursor = '';
    do {
      const { body } = await admin.call('GET', `/accounts?limit=3${cursor}`);
      expect(body.data.length).toBeLessThanOrEqual(3);
      seen.push(...body.data.map(({ id }: { id: string }) => id));
      cursor = body.nextCursor === null ? 'end' : `&cursor=${encodeURIComponent(body.nextCursor)}`;
    } while (cursor !== 'end');
    expect(seen).toEqual(rows.map(({ id }) => id));
  });

  it('finds by part of a name or external id, by status, and takes no pattern', async () => {
    await admin.call('POST', '/accounts', { body: { name: '100%_sure', externalId: 'odd\\one' } });
    const find = async (query: string) =>
      (await admin.call('GET', `/accounts?${query}`)).body.data.map(({ name }: { name: string }) => name);
    expect(await find(`q=${encodeURIComponent('0%_S')}`)).toEqual(['100%_sure']);
    expect(await find(`q=${encodeURIComponent('d\\O')}`)).toEqual(['100%_sure']);
    expect(await find(`q=${encodeURIComponent('%')}`)).toEqual(['100%_sure']);
    expect(await find(`externalId=${encodeURIComponent('odd\\one')}&status=active`)).toEqual(['100%_sure']);
    expect(await find('q=sure&status=suspended')).toEqual([]);
  });

  it.each([
    ['/limit', 'limit=0'],
    ['/limit', 'limit=201'],
    ['/limit', 'limit=1e2'],
    ['/limit', 'limit=-1'],
    ['/limit', 'limit=5&limit=6'],
    ['/cursor', 'cursor=v1.x.y.z'],
    ['/cursor', 'cursor='],
    ['/status', 'status=gone'],
    ['/page', 'page=2'],
    ['/q', 'q=%00'],
    ['/q', 'q='],
  ])('points at %s in ?%s', async (pointer, query) => {
    const { status, body } = await admin.call('GET', `/accounts?${query}`);
    expect([status, body.errors[0].pointer]).toEqual([422, pointer]);
  });

  it('refuses the cursor of another list, and one that was changed', async () => {
    const { body } = await admin.call('GET', '/accounts?limit=1');
    const other = await admin.call('GET', `/api-keys?cursor=${body.nextCursor}`);
    expect(other.status).toBe(422);
    const changed = await admin.call('GET', `/accounts?cursor=${body.nextCursor.slice(0, -4)}AAAA`);
    expect(changed.status).toBe(422);
  });
});
