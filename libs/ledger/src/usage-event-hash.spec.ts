import { usageEvent } from './ledger.spec-kit.js';
import { hashUsageEvent } from './usage-event-hash.js';

const requestId = '01890000-0000-7000-8000-000000000001';
const event = usageEvent('01890000-0000-7000-8000-000000000002', 1_234n, { requestId });

describe('hashUsageEvent', () => {
  it('never changes: stored hashes are compared with it for ever', () => {
    expect(hashUsageEvent(event).toString('hex')).toBe(
      'b4141a7f5783b8dab35f9aaae15228007c06233a4537a1c7b0d09c66e7edf84e',
    );
  });

  it('does not depend on the escrow', () => {
    expect(hashUsageEvent({ ...event, escrowId: requestId })).toEqual(hashUsageEvent(event));
  });

  it('tells a swept event from the true one of the same content', () => {
    expect(hashUsageEvent({ ...event, swept: true })).not.toEqual(hashUsageEvent(event));
  });

  it('does not depend on the order of keys, nor on counts that are undefined', () => {
    const { units, ...rest } = event;
    const reordered = {
      units: { output: units.output, cachedInput: undefined, input: units.input },
      ...rest,
    };
    expect(hashUsageEvent(reordered)).toEqual(hashUsageEvent(event));
  });

  it.each(Object.keys(event).filter((key) => key !== 'units'))('covers %s', (key) => {
    expect(hashUsageEvent({ ...event, [key]: 'another' })).not.toEqual(hashUsageEvent(event));
  });

  it('covers units', () => {
    expect(hashUsageEvent({ ...event, units: { ...event.units, input: 13 } })).not.toEqual(
      hashUsageEvent(event),
    );
    expect(hashUsageEvent({ ...event, units: { cachedInput: 12, output: 34 } })).not.toEqual(
      hashUsageEvent(event),
    );
  });
});
