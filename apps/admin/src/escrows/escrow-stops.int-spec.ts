import { checkBooks, poolSql } from '@tollgate/ledger';
import { openAccount, startAdmin, type AdminUnderTest } from '../admin.spec-kit.js';

// Real: Postgres and the admin process; the books are forged by the owner.

let admin: AdminUnderTest;
beforeAll(async () => {
  admin = await startAdmin();
});
afterAll(() => admin.stop());

async function check(): Promise<void> {
  await checkBooks(poolSql(admin.owner), { everySeconds: 0, accountsMax: 100 });
}

async function forge(accountId: string, nano: number): Promise<void> {
  await admin.owner.query('UPDATE tollgate.account SET posted = posted + $2 WHERE id = $1', [
    accountId,
    nano,
  ]);
}

describe('an account whose books are wrong', () => {
  it('is listed with what is wrong, and cleared once that is set right, with an audit row', async () => {
    const [accountId, other] = [await openAccount(admin, '5'), await openAccount(admin, '5')];
    await forge(accountId, 7);
    await check();
    const { body } = await admin.call('GET', '/escrow-stops?status=open');
    expect(body.data).toEqual([
      {
        id: expect.any(String),
        accountId,
        status: 'open',
        violations: [
          {
            invariant: 'posted_is_sum_of_transfers',
            ref: accountId,
            detail: 'posted 5000000007, transfers 5000000000',
          },
        ],
        createdAt: expect.any(String),
        clearedAt: null,
        note: null,
      },
    ]);
    expect((await admin.call('GET', `/escrow-stops?accountId=${other}`)).body.data).toEqual([]);
    const path = `/escrow-stops/${body.data[0].id}`;
    const early = await admin.call('POST', `${path}/clear`, { body: { note: 'looks fine' } });
    expect([early.status, early.body.code]).toEqual([409, 'books_wrong']);
    await forge(accountId, -7);
    const cleared = await admin.call('POST', `${path}/clear`, { body: { note: 'set right by hand' } });
    expect(cleared.body).toMatchObject({ status: 'cleared', note: 'set right by hand' });
    const again = await admin.call('POST', `${path}/clear`, { body: { note: 'another note' } });
    expect(again.body).toEqual(cleared.body);
    expect((await admin.call('GET', path)).body).toEqual(cleared.body);
    const { body: audit } = await admin.call('GET', '/audit?action=escrow_stop.clear');
    expect(audit.data).toMatchObject([{ before: { status: 'open' }, after: { status: 'cleared' } }]);
    await check();
    expect((await admin.call('GET', '/escrow-stops?status=open')).body.data).toEqual([]);
  });
});
