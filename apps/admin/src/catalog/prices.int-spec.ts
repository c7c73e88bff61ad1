import { randomUUID } from 'node:crypto';
import { startAdmin, type AdminUnderTest } from '../admin.spec-kit.js';
import { priceSchema } from './price.schema.js';

let admin: AdminUnderTest;
beforeAll(async () => {
  admin = await startAdmin();
  for (const id of ['glm-5', 'glm-6', 'dated']) await admin.call('POST', '/models', { body: { id } });
});
afterAll(() => admin.stop());

const rates = { input: '0.15', output: '0.6' };

describe('POST /prices', () => {
  it('keeps rates to the last of six decimals and begins now by the clock of the database', async () => {
    const { status, body } = await admin.call('POST', '/prices', {
      body: {
        model: 'glm-5',
        rates: { input: '0.150001', output: '1.50', cachedInput: '0' },
        perRequest: '0.000000001',
        minimumCharge: '0.01',
      },
    });
    expect(status).toBe(201);
    expect(priceSchema.parse(body)).toMatchObject({
      model: 'glm-5',
      plan: 'default',
      rates: { input: '0.150001', output: '1.5', cachedInput: '0' },
      perRequest: '0.000000001',
      minimumCharge: '0.01',
    });
    const { rows } = await admin.owner.query(
      'SELECT rates, effective_from <= now() AS begun FROM tollgate.price',
    );
    expect(rows).toEqual([{ rates: { input: '150001', output: '1500000', cachedInput: '0' }, begun: true }]);
    expect((await admin.call('GET', `/prices/${body.id}`)).body).toEqual(body);
  });

  it.each([
    ['/model', { model: 'glm-7', rates }],
    ['/rates', { rates: { input: '1' } }],
    ['/rates', {}],
    ['/rates/inptu', { rates: { ...rates, inptu: '1' } }],
    ['/rates/input', { rates: { ...rates, input: '0.1500001' } }],
    ['/rates/input', { rates: { ...rates, input: '-1' } }],
    ['/rates/input', { rates: { ...rates, input: 0.15 } }],
    ['/perRequest', { rates, perRequest: '-1' }],
    ['/minimumCharge', { rates, minimumCharge: '0.0000000001' }],
    ['/effectiveFrom', { rates, effectiveFrom: '2020-01-01T00:00:00Z' }],
    ['/effectiveFrom', { rates, effectiveFrom: '0000-01-01T00:00:00Z' }],
    ['/effectiveFrom', { rates, effectiveFrom: 'tomorrow' }],
    ['/plan', { rates, plan: '' }],
  ])('points at %s of %j', async (pointer, fields) => {
    const answer = await admin.call('POST', '/prices', { body: { model: 'glm-5', ...fields } });
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, pointer]);
  });

  it('refuses a second price of one model and plan that begins at the same time', async () => {
    const body = { model: 'glm-6', rates, effectiveFrom: '2099-01-01T00:00:00.000Z' };
    expect((await admin.call('POST', '/prices', { body })).status).toBe(201);
    const again = await admin.call('POST', '/prices', { body });
    expect([again.status, again.body.code]).toEqual([409, 'price_taken']);
    const otherPlan = await admin.call('POST', '/prices', { body: { ...body, plan: 'gold' } });
    expect(otherPlan.status).toBe(201);
  });
});

describe('POST /prices:batch', () => {
  async function countPrices(): Promise<number> {
    const { rows } = await admin.owner.query('SELECT count(*)::int AS count FROM tollgate.price');
    return rows[0].count;
  }

  it('creates all of them in the order asked, each with its audit row', async () => {
    const prices = [
      { model: 'glm-6', plan: 'a', rates },
      { model: 'glm-5', plan: 'a', rates },
    ];
    const { status, body } = await admin.call('POST', '/prices:batch', { body: { prices } });
    expect([status, body.data.map(({ model }: { model: string }) => model)]).toEqual([
      201,
      ['glm-6', 'glm-5'],
    ]);
    const audit = await admin.call('GET', `/audit?target=price/${body.data[1].id}`);
    expect(audit.body.data).toHaveLength(1);
  });

  it.each([
    ['an unknown model', '/prices/1/model', { model: 'glm-7', rates }],
    [
      'a time in the past',
      '/prices/1/effectiveFrom',
      { model: 'glm-5', rates, effectiveFrom: '2020-01-01T00:00:00Z' },
    ],
    ['a wrong rate', '/prices/1/rates/input', { model: 'glm-5', rates: { ...rates, input: 'x' } }],
  ])('creates none for %s', async (_case, pointer, price) => {
    const before = await countPrices();
    const prices = [{ model: 'glm-6', plan: 'b', rates }, price];
    const answer = await admin.call('POST', '/prices:batch', { body: { prices } });
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, pointer]);
    expect(await countPrices()).toBe(before);
  });

  it('creates none if two are the same', async () => {
    const before = await countPrices();
    const price = { model: 'glm-6', plan: 'c', rates };
    const answer = await admin.call('POST', '/prices:batch', { body: { prices: [price, price] } });
    expect([answer.status, answer.body.code]).toEqual([409, 'price_taken']);
    expect(await countPrices()).toBe(before);
    expect((await admin.call('POST', '/prices:batch', { body: { prices: [] } })).status).toBe(422);
  });
});

describe('GET /prices', () => {
  it('gives the price in force at a time: each ends where the next begins', async () => {
    const at = (hour: number) => `2098-01-01T0${hour}:00:00.000Z`;
    for (const hour of [1, 3]) {
      await admin.call('POST', '/prices', {
        body: { model: 'dated', rates: { input: `${hour}`, output: '0' }, effectiveFrom: at(hour) },
      });
    }
    const inForce = async (hour: number) =>
      (await admin.call('GET', `/prices?model=dated&at=${at(hour)}`)).body.data.map(
        (price: { rates: { input: string } }) => price.rates.input,
      );
    expect(await inForce(0)).toEqual([]);
    expect(await inForce(1)).toEqual(['1']);
    expect(await inForce(2)).toEqual(['1']);
    expect(await inForce(3)).toEqual(['3']);
    expect((await admin.call('GET', '/prices?model=dated')).body.data).toHaveLength(2);
  });

  it('finds the price that begins now at the time it was answered with', async () => {
    const { body } = await admin.call('POST', '/prices', { body: { model: 'dated', plan: 'now', rates } });
    const { body: found } = await admin.call('GET', `/prices?plan=now&at=${body.effectiveFrom}`);
    expect(found.data).toEqual([body]);
  });

  it('has no way to change or remove a price', async () => {
    const { body } = await admin.call('POST', '/prices', { body: { model: 'dated', plan: 'fixed', rates } });
    for (const method of ['PATCH', 'DELETE', 'PUT'] as const) {
      const answer = await admin.call(method, `/prices/${body.id}`);
      expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, HEAD']);
    }
    expect((await admin.call('GET', `/prices/${randomUUID()}`)).status).toBe(404);
  });
});
