import { randomUUID } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { startAdmin, type AdminUnderTest } from '../admin.spec-kit.js';
import { usageSchema } from './usage.schema.js';

const NOON = Date.UTC(2026, 10, 21, 12);
const [ADA, BOB] = [uuidv7(), uuidv7()];

let admin: AdminUnderTest;
let ids: string[];
beforeAll(async () => {
  admin = await startAdmin();
  ids = [0, 1, 2, 3].map((minute) => uuidv7({ msecs: NOON + minute * 60_000 }));
  for (const [index, requestId] of ids.entries()) {
    await insertUsage({ requestId, accountId: index === 3 ? BOB : ADA, model: index === 0 ? 'old' : 'new' });
  }
});
afterAll(() => admin.stop());

async function insertUsage(usage: { requestId: string; accountId: string; model: string; swept?: boolean }) {
  const { requestId, accountId, model, swept = false } = usage;
  await admin.owner.query(
    `INSERT INTO tollgate.usage_record (request_id, swept, account_id, api_key_id, model, upstream_model, deployment_id,
       price_id, multiplier_ppm, units, billable, usage_source, outcome, cost, attempts, first_byte_ms, total_ms,
       finished_at, body_hash)
     VALUES ($1, $2, $3, $4, $5, 'up', NULL, $6, 1000000, '{"input": 7, "output": 3}', true, 'provider', 'completed',
       $7, 1, 12, 34, now(), '')`,
    [requestId, swept, accountId, randomUUID(), model, randomUUID(), swept ? 1 : 1_000_000_001],
  );
}

async function listed(query: string): Promise<string[]> {
  const { body } = await admin.call('GET', `/usage?${query}`);
  return body.data.map(({ requestId }: { requestId: string }) => requestId);
}

function wire(requestId: string | undefined): string {
  return `req_${String(requestId).replaceAll('-', '')}`;
}

describe('GET /usage/{requestId}', () => {
  it('answers for the id as clients see it and for its UUID', async () => {
    const { status, body } = await admin.call('GET', `/usage/${wire(ids[1])}`);
    expect(status).toBe(200);
    expect(usageSchema.parse(body)).toMatchObject({
      requestId: wire(ids[1]),
      outcome: 'completed',
      usageSource: 'provider',
      units: { input: 7, output: 3 },
      cost: '1.000000001',
      charged: '1.000000001',
      absorbed: '0',
      model: 'new',
      upstreamModel: 'up',
      deploymentId: null,
      accountId: ADA,
      attempts: 1,
      timings: { firstByteMs: 12, totalMs: 34 },
      createdAt: '2026-11-21T12:01:00.000Z',
    });
    expect((await admin.call('GET', `/usage/${ids[1]}`)).body).toEqual(body);
  });

  it('answers 404 for any other id', async () => {
    for (const id of [randomUUID(), wire(randomUUID()), 'req_', 'nothing', '%00']) {
      expect((await admin.call('GET', `/usage/${id}`)).status).toBe(404);
    }
  });

  it('shows the true usage of a request that had been swept', async () => {
    const requestId = uuidv7();
    const row = { requestId, accountId: uuidv7(), model: 'swept' };
    await insertUsage({ ...row, swept: true });
    expect((await admin.call('GET', `/usage/${requestId}`)).body.cost).toBe('0.000000001');
    await insertUsage(row);
    expect((await admin.call('GET', `/usage/${requestId}`)).body.cost).toBe('1.000000001');
    expect(await listed('model=swept')).toEqual([wire(requestId)]);
  });

  it('says what of the cost the account could not pay', async () => {
    const requestId = uuidv7();
    await insertUsage({ requestId, accountId: uuidv7(), model: 'poor' });
    await admin.owner.query(
      `INSERT INTO tollgate.transfer (kind, ref_id, debit_id, credit_id, amount) VALUES ('absorbed', $1, $2, $3, 300000001)`,
      [requestId, '00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000001'],
    );
    const parts = { cost: '1.000000001', charged: '0.7', absorbed: '0.300000001' };
    expect((await admin.call('GET', `/usage/${requestId}`)).body).toMatchObject(parts);
    expect((await admin.call('GET', '/usage?model=poor')).body.data).toMatchObject([parts]);
    const exported = await admin.app.inject({
      url: '/admin/v1/usage/export?format=jsonl&model=poor',
      headers: { authorization: `Bearer ${admin.token}` },
    });
    expect(exported.json()).toMatchObject(parts);
  });
});

describe('GET /usage', () => {
  it('lists newest first, by account, key and model', async () => {
    expect(await listed(`accountId=${ADA}`)).toEqual([2, 1, 0].map((index) => wire(ids[index])));
    expect(await listed(`accountId=${ADA}&model=old`)).toEqual([wire(ids[0])]);
    expect(await listed(`accountId=${ADA}&outcome=timeout`)).toEqual([]);
    const { body } = await admin.call('GET', `/usage/${ids[3]}`);
    expect(await listed(`apiKeyId=${body.apiKeyId}`)).toEqual([wire(ids[3])]);
  });

  it('lists by deployment, outcome, source, cost and id', async () => {
    const [requestId, deploymentId] = [uuidv7(), randomUUID()];
    await insertUsage({ requestId, accountId: BOB, model: 'odd', swept: true });
    await admin.owner.query(
      `UPDATE tollgate.usage_record SET deployment_id = $2, outcome = 'cut_off', usage_source = 'partial', cost = 5000000000
        WHERE request_id = $1`,
      [requestId, deploymentId],
    );
    for (const filter of [
      `deploymentId=${deploymentId}`,
      'outcome=cut_off',
      'usageSource=partial',
      'minCost=5',
      'minCost=1.000000002',
      `requestId=${wire(requestId)}`,
      `requestId=${requestId}&minCost=5&outcome=cut_off`,
    ]) {
      expect([filter, await listed(filter)]).toEqual([filter, [wire(requestId)]]);
    }
    expect(await listed('minCost=5.000000001')).toEqual([]);
    expect(await listed(`requestId=${randomUUID()}`)).toEqual([]);
  });

  it('takes from as the first moment and to as the first one after', async () => {
    const minute = (offset: number) => new Date(NOON + offset * 60_000).toISOString();
    expect(await listed(`accountId=${ADA}&from=${minute(1)}&to=${minute(2)}`)).toEqual([wire(ids[1])]);
    expect(await listed(`accountId=${ADA}&from=${minute(2)}`)).toEqual([wire(ids[2])]);
  });

  it('goes on where a page ended', async () => {
    const { body } = await admin.call('GET', `/usage?accountId=${ADA}&limit=2`);
    expect(await listed(`accountId=${ADA}&limit=2&cursor=${body.nextCursor}`)).toEqual([wire(ids[0])]);
  });

  it.each([
    'from=yesterday',
    'from=2026-11-21',
    'accountId=me',
    'outcome=lost',
    'modle=new',
    'to=9999999999999',
    'requestId=req_1',
    'minCost=1e3',
    'usageSource=guess',
    'deploymentId=none',
  ])('refuses ?%s', async (query) => {
    expect((await admin.call('GET', `/usage?${query}`)).status).toBe(422);
  });
});
