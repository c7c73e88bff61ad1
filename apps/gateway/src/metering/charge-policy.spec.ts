import { decideCharge, type RequestFacts } from './charge-policy.js';

const facts = (overrides: Partial<RequestFacts>): RequestFacts => ({
  outcome: 'completed',
  reported: null,
  wasSent: true,
  wasDelivered: true,
  emptyCompletions: 'free',
  estimatedInputTokens: 7,
  estimatedOutputTokens: 10,
  ...overrides,
});
const reported = { input: 5, output: 3 };

describe('decideCharge', () => {
  it('charges a completed answer what the provider reported', () => {
    expect(decideCharge(facts({ reported }))).toEqual({
      units: reported,
      usageSource: 'provider',
      billable: true,
    });
  });

  it('takes explicit zero for zero, though something was delivered', () => {
    expect(decideCharge(facts({ reported: { input: 0, output: 0 } }))).toMatchObject({ billable: false });
  });

  it('charges an estimate where the provider reported nothing', () => {
    expect(decideCharge(facts({}))).toEqual({
      units: { input: 7, output: 10 },
      usageSource: 'estimated',
      billable: true,
    });
  });

  it('takes an empty completion for free, unless output was counted that is not shown', () => {
    expect(decideCharge(facts({ wasDelivered: false, estimatedOutputTokens: 0 })).billable).toBe(false);
    expect(decideCharge(facts({ wasDelivered: false, reported: { input: 5, output: 0 } })).billable).toBe(
      false,
    );
    expect(decideCharge(facts({ wasDelivered: false, reported })).billable).toBe(true);
  });

  it('charges an empty completion where the operator says so, but never explicit zero', () => {
    const empty = { wasDelivered: false, emptyCompletions: 'charged', estimatedOutputTokens: 0 } as const;
    expect(decideCharge(facts(empty))).toMatchObject({ units: { input: 7, output: 0 }, billable: true });
    expect(decideCharge(facts({ ...empty, reported: { input: 5, output: 0 } })).billable).toBe(true);
    expect(decideCharge(facts({ ...empty, reported: { input: 0, output: 0 } })).billable).toBe(false);
    expect(decideCharge(facts({ ...empty, outcome: 'upstream_failed' })).billable).toBe(false);
  });

  it.each(['upstream_failed', 'timeout'] as const)(
    'takes %s for free before anything was delivered',
    (outcome) => {
      expect(decideCharge(facts({ outcome, wasDelivered: false, reported }))).toMatchObject({
        billable: false,
      });
      expect(decideCharge(facts({ outcome }))).toMatchObject({ billable: true, usageSource: 'partial' });
    },
  );

  it('charges a client that left for what it got, and nothing if nothing was sent', () => {
    expect(decideCharge(facts({ outcome: 'client_closed', wasSent: false }))).toMatchObject({
      billable: false,
      units: {},
    });
    expect(
      decideCharge(facts({ outcome: 'client_closed', wasDelivered: false, estimatedOutputTokens: 0 })),
    ).toEqual({
      units: { input: 7, output: 0 },
      usageSource: 'partial',
      billable: true,
    });
    expect(decideCharge(facts({ outcome: 'client_closed', reported }))).toMatchObject({ units: reported });
  });

  it('charges a stream that was cut off for what was forwarded', () => {
    expect(decideCharge(facts({ outcome: 'cut_off' }))).toMatchObject({
      usageSource: 'partial',
      billable: true,
    });
  });
});
