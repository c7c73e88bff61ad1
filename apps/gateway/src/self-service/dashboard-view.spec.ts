import { creditSummaryView, dashboardUsageView, subscriptionView } from './dashboard-view.js';

const DOLLAR = 1_000_000_000n;

describe('subscriptionView', () => {
  it('has every member that billing pages know, with limits in dollars', () => {
    const view = subscriptionView({
      accountName: 'acme',
      expiresAt: new Date('2027-01-01T00:00:00.900Z'),
      availableNano: 20n * DOLLAR,
      chargedNano: 4_970_000_000n,
    });
    expect(view).toEqual({
      object: 'billing_subscription',
      has_payment_method: true,
      canceled: false,
      canceled_at: null,
      delinquent: null,
      access_until: 1_798_761_600,
      soft_limit: 416_167,
      hard_limit: 416_167,
      system_hard_limit: 416_167,
      soft_limit_usd: 24.97,
      hard_limit_usd: 24.97,
      system_hard_limit_usd: 24.97,
      plan: { title: 'Prepaid', id: 'payg' },
      account_name: 'acme',
      po_number: null,
      billing_email: null,
      tax_ids: null,
      billing_address: null,
      business_address: null,
    });
  });

  it('says 0 for a key that does not expire', () => {
    const facts = { accountName: 'a', expiresAt: null, availableNano: 0n, chargedNano: 0n };
    expect(subscriptionView(facts)).toMatchObject({ access_until: 0, hard_limit: 0, hard_limit_usd: 0 });
  });
});

describe('dashboardUsageView', () => {
  it('has an entry for each day, empty ones too, in cents', () => {
    const day = (date: number) => new Date(Date.UTC(2023, 4, date));
    const view = dashboardUsageView({
      days: [11, 12].map((date) => ({ from: day(date), to: day(date + 1) })),
      charged: [
        { span: 0, model: 'gpt-4o', chargedNano: 123_000_000n },
        { span: 0, model: 'text-embedding-3-small', chargedNano: 4_000_000n },
      ],
      totalNano: 127_000_000n,
    });
    expect(view).toEqual({
      object: 'list',
      daily_costs: [
        {
          timestamp: 1_683_763_200,
          line_items: [
            { name: 'gpt-4o', cost: 12.3 },
            { name: 'text-embedding-3-small', cost: 0.4 },
          ],
        },
        { timestamp: 1_683_849_600, line_items: [] },
      ],
      total_usage: 12.7,
    });
  });
});

describe('creditSummaryView', () => {
  const createdAt = new Date('2023-03-28T22:40:00Z');
  const facts = { grantedNano: 30n * DOLLAR, chargedNano: 4_970_000_000n, postedNano: 25_030_000_000n };

  it('uses the oldest credits first', () => {
    const view = creditSummaryView({
      ...facts,
      availableNano: 25_030_000_000n,
      latest: [
        { seq: 12n, amountNano: 10n * DOLLAR, createdAt },
        { seq: 1n, amountNano: 20n * DOLLAR, createdAt },
      ],
    });
    const grant = { object: 'credit_grant', effective_at: 1_680_043_200, expires_at: 0 };
    expect(view).toEqual({
      object: 'credit_summary',
      total_granted: 30,
      total_used: 4.97,
      total_available: 25.03,
      grants: {
        object: 'list',
        available_amount: '25.0300',
        data: [
          { ...grant, id: 'grant_12', grant_amount: 10, used_amount: 0 },
          { ...grant, id: 'grant_01', grant_amount: 20, used_amount: 4.97 },
        ],
      },
    });
  });

  it.each([
    [0n, '0.0000'],
    [99_999n, '0.0000'],
    [100_000n, '0.0001'],
    [111_865_899_999n, '111.8658'],
  ])('never shows more than is available: %p', (availableNano, shown) => {
    const view = creditSummaryView({ ...facts, availableNano, latest: [] });
    expect(view).toMatchObject({ grants: { available_amount: shown } });
  });

  it('counts everything as used where the balance is a debt', () => {
    const latest = [{ seq: 1n, amountNano: DOLLAR, createdAt }];
    const debt = {
      grantedNano: DOLLAR,
      chargedNano: 3n * DOLLAR,
      postedNano: -2n * DOLLAR,
      availableNano: 8n * DOLLAR,
    };
    expect(creditSummaryView({ ...debt, latest })).toMatchObject({
      total_granted: 1,
      total_used: 3,
      total_available: 8,
      grants: { data: [{ grant_amount: 1, used_amount: 1 }] },
    });
  });
});
