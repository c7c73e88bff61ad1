import { randomUUID } from 'node:crypto';
import { freshKey, openAccount, startAdmin, type AdminUnderTest } from '../admin.spec-kit.js';
import { moneyAnswerSchema } from './transfer.schema.js';

let admin: AdminUnderTest;
beforeAll(async () => {
  admin = await startAdmin();
});
afterAll(() => admin.stop());

async function countRows(table: string): Promise<number> {
  const { rows } = await admin.owner.query(`SELECT count(*)::int AS count FROM tollgate.${table}`);
  return rows[0].count;
}

describe('POST /accounts/{id}/top-ups', () => {
  it('books the amount exactly and answers with the transfer and the balance', async () => {
    const id = await openAccount(admin);
    const { status, headers, body } = await admin.call('POST', `/accounts/${id}/top-ups`, {
      body: { amount: '5.000000001', reference: 'pay-1', note: 'first' },
      headers: freshKey(),
    });
    expect(status).toBe(201);
    expect(headers).not.toHaveProperty('idempotent-replayed');
    expect(moneyAnswerSchema.parse(body)).toMatchObject({
      transfer: {
        accountId: id,
        kind: 'top_up',
        amount: '5.000000001',
        balanceAfter: '5.000000001',
        reference: 'pay-1',
        note: 'first',
        seq: 1,
      },
      balance: { posted: '5.000000001', held: '0', available: '5.000000001', floor: '0' },
    });
    expect(body.transfer).not.toHaveProperty('requestId');
  });

  it('repeats the stored answer for the same key and body, whatever happened since', async () => {
    const id = await openAccount(admin);
    const headers = freshKey();
    const path = `/accounts/${id}/top-ups`;
    const first = await admin.call('POST', path, { body: { amount: '5', note: 'n' }, headers });
    await admin.call('POST', path, { body: { amount: '1' }, headers: freshKey() });
    const again = await admin.call('POST', path, { body: { note: 'n', amount: '5' }, headers });
    expect([again.status, again.headers['idempotent-replayed']]).toEqual([200, 'true']);
    // To the byte: the order of the fields too.
    expect(JSON.stringify(again.body)).toBe(JSON.stringify(first.body));
    const { body } = await admin.call('GET', `/accounts/${id}`);
    expect(body.balance.posted).toBe('6');
  });

  it('refuses a key that belongs to another body', async () => {
    const id = await openAccount(admin);
    const headers = freshKey();
    await admin.call('POST', `/accounts/${id}/top-ups`, { body: { amount: '5' }, headers });
    const other = await admin.call('POST', `/accounts/${id}/top-ups`, { body: { amount: '6' }, headers });
    expect([other.status, other.body.code]).toEqual([409, 'idempotency_key_reused']);
  });

  it('keeps the keys of each account and of each route apart', async () => {
    const [one, two] = [await openAccount(admin), await openAccount(admin)];
    const headers = freshKey();
    const top = { body: { amount: '5' }, headers };
    const grant = { body: { kind: 'grant', amount: '5' }, headers };
    expect((await admin.call('POST', `/accounts/${one}/top-ups`, top)).status).toBe(201);
    expect((await admin.call('POST', `/accounts/${two}/top-ups`, top)).status).toBe(201);
    expect((await admin.call('POST', `/accounts/${one}/adjustments`, grant)).status).toBe(201);
  });

  it('books 20 equal calls at once exactly once, with one audit row', async () => {
    const id = await openAccount(admin);
    const audited = await countRows('audit_log');
    const asked = { body: { amount: '5' }, headers: freshKey() };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => admin.call('POST', `/accounts/${id}/top-ups`, asked)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array<number>(19).fill(200), 201]);
    expect(new Set(answers.map(({ body }) => JSON.stringify(body.transfer.id))).size).toBe(1);
    expect((await admin.call('GET', `/accounts/${id}`)).body.balance.posted).toBe('5');
    expect(await countRows('audit_log')).toBe(audited + 1);
  });

  it('books 20 different calls at once without losing one', async () => {
    const id = await openAccount(admin);
    await Promise.all(
      Array.from({ length: 20 }, () =>
        admin.call('POST', `/accounts/${id}/top-ups`, {
          body: { amount: '0.000000001' },
          headers: freshKey(),
        }),
      ),
    );
    const { body } = await admin.call('GET', `/accounts/${id}/transfers?limit=200`);
    expect(body.data.map(({ seq }: { seq: number }) => seq)).toEqual(
      Array.from({ length: 20 }, (_, i) => 20 - i),
    );
    expect(body.data[0].balanceAfter).toBe('0.00000002');
  });

  it('asks for an Idempotency-Key', async () => {
    const id = await openAccount(admin);
    const missing = await admin.call('POST', `/accounts/${id}/top-ups`, { body: { amount: '5' } });
    expect([missing.status, missing.body.code]).toEqual([428, 'idempotency_key_missing']);
    for (const key of ['x'.repeat(256), 'tab\there', 'é']) {
      const wrong = await admin.call('POST', `/accounts/${id}/top-ups`, {
        body: { amount: '5' },
        headers: { 'idempotency-key': key },
      });
      expect([wrong.status, wrong.body.errors[0].pointer]).toEqual([422, '/Idempotency-Key']);
    }
  });

  it.each([
    5,
    '5.',
    '.5',
    '+5',
    ' 5',
    '5 ',
    '1e3',
    '0x5',
    '1.0000000001',
    '',
    '-5',
    '0',
    '9000000.1',
    null,
    [],
    {},
  ])('refuses the amount %p and rounds nothing', async (amount) => {
    const id = await openAccount(admin);
    const answer = await admin.call('POST', `/accounts/${id}/top-ups`, {
      body: { amount },
      headers: freshKey(),
    });
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, '/amount']);
  });

  it('refuses what would make a balance larger than it can be, and books nothing', async () => {
    const id = await openAccount(admin, '9000000');
    const answer = await admin.call('POST', `/accounts/${id}/top-ups`, {
      body: { amount: '0.000000001' },
      headers: freshKey(),
    });
    expect([answer.status, answer.body.code]).toEqual([409, 'would_exceed_limit']);
    expect((await admin.call('GET', `/accounts/${id}/transfers`)).body.data).toHaveLength(1);
  });

  it('answers 404 for an unknown account', async () => {
    const path = `/accounts/${randomUUID()}/top-ups`;
    expect((await admin.call('POST', path, { body: { amount: '5' }, headers: freshKey() })).status).toBe(404);
  });
});

describe('POST /accounts/{id}/adjustments', () => {
  it('adds grants, takes refunds away, and adjusts both ways', async () => {
    const id = await openAccount(admin, '10');
    const path = `/accounts/${id}/adjustments`;
    for (const body of [
      { kind: 'grant', amount: '1.5' },
      { kind: 'refund', amount: '-4' },
      { kind: 'adjustment', amount: '-0.25' },
      { kind: 'adjustment', amount: '0.75' },
    ]) {
      const answer = await admin.call('POST', path, { body, headers: freshKey() });
      expect([answer.status, answer.body.transfer.amount]).toEqual([201, body.amount]);
    }
    expect((await admin.call('GET', `/accounts/${id}`)).body.balance.available).toBe('8');
  });

  it('refuses to take more than is available, and the key may be used again', async () => {
    const id = await openAccount(admin, '10');
    const path = `/accounts/${id}/adjustments`;
    const headers = freshKey();
    const asked = { body: { kind: 'refund', amount: '-10.000000001' }, headers };
    const refused = await admin.call('POST', path, asked);
    expect([refused.status, refused.body.code]).toEqual([409, 'would_break_floor']);
    await admin.call('POST', `/accounts/${id}/top-ups`, { body: { amount: '1' }, headers: freshKey() });
    expect((await admin.call('POST', path, asked)).status).toBe(201);
  });

  it.each([
    ['/kind', { amount: '1' }],
    ['/kind', { kind: 'top_up', amount: '1' }],
    ['/amount', { kind: 'grant', amount: '-1' }],
    ['/amount', { kind: 'refund', amount: '1' }],
    ['/amount', { kind: 'adjustment', amount: '0' }],
  ])('points at %s of %j', async (pointer, body) => {
    const id = await openAccount(admin);
    const answer = await admin.call('POST', `/accounts/${id}/adjustments`, { body, headers: freshKey() });
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, pointer]);
  });
});

describe('transfers', () => {
  it('are listed for one account and for all, newest first, by kind and time', async () => {
    const [one, two] = [await openAccount(admin, '1'), await openAccount(admin, '2')];
    await admin.call('POST', `/accounts/${one}/adjustments`, {
      body: { kind: 'grant', amount: '3' },
      headers: freshKey(),
    });
    const amounts = async (path: string) =>
      (await admin.call('GET', path)).body.data.map(({ amount }: { amount: string }) => amount);
    expect(await amounts(`/accounts/${one}/transfers`)).toEqual(['3', '1']);
    expect(await amounts(`/transfers?accountId=${two}`)).toEqual(['2']);
    expect(await amounts(`/accounts/${one}/transfers?kind=top_up`)).toEqual(['1']);
    expect((await amounts('/transfers?limit=3')).slice(0, 3)).toEqual(['3', '2', '1']);
    expect(await amounts(`/accounts/${one}/transfers?to=2020-01-01T00:00:00Z`)).toEqual([]);
    expect(await amounts(`/accounts/${one}/transfers?from=2020-01-01T00:00:00Z`)).toEqual(['3', '1']);
    expect((await admin.call('GET', `/accounts/${randomUUID()}/transfers`)).status).toBe(404);
  });

  it('are paged within an account by its own sequence', async () => {
    const id = await openAccount(admin);
    for (let n = 0; n < 5; n += 1) {
      await admin.call('POST', `/accounts/${id}/top-ups`, { body: { amount: '1' }, headers: freshKey() });
    }
    const first = await admin.call('GET', `/accounts/${id}/transfers?limit=3`);
    const rest = await admin.call('GET', `/accounts/${id}/transfers?limit=3&cursor=${first.body.nextCursor}`);
    const numbers = [...first.body.data, ...rest.body.data].map(({ seq }: { seq: number }) => seq);
    expect([numbers, rest.body.nextCursor]).toEqual([[5, 4, 3, 2, 1], null]);
    const foreign = await admin.call('GET', `/transfers?cursor=${first.body.nextCursor}`);
    expect(foreign.status).toBe(422);
  });

  it('carry the request of a usage, and its cost with a minus', async () => {
    const id = await openAccount(admin, '1');
    const requestId = '019a0000-0000-7000-8000-00000000abcd';
    await admin.owner.query(
      `INSERT INTO tollgate.transfer (kind, ref_id, debit_id, credit_id, amount, account_id, account_seq, balance_after)
       VALUES ('usage', $1, $2, '00000000-0000-0000-0000-000000000001', 250000000, $2, 2, 750000000)`,
      [requestId, id],
    );
    const { body } = await admin.call('GET', `/accounts/${id}/transfers?kind=usage`);
    expect(body.data[0]).toMatchObject({
      kind: 'usage',
      amount: '-0.25',
      balanceAfter: '0.75',
      requestId: 'req_019a000000007000800000000000abcd',
    });
  });

  it('leave the books without a violation', async () => {
    const id = await openAccount(admin, '3');
    const { rows } = await admin.owner.query('SELECT * FROM tollgate.ledger_violation WHERE ref = $1', [id]);
    expect(rows).toEqual([]);
  });
});
