import type { UsageEvent } from './usage-event.js';
import {
  UnknownUsageJobVersionError,
  parseUsageJob,
  usageJobVersion,
  usageRetryDelayMs,
} from './usage-queue.js';

const event: UsageEvent = {
  requestId: '01a1fda0-4c5f-73af-a490-1e71198512a9',
  accountId: '01a1fda0-4c5f-73af-a490-1e71198512a9',
  apiKeyId: '01a1fda0-4c5f-73af-a490-1e71198512a9',
  model: 'm',
  upstreamModel: 'u',
  deploymentId: null,
  priceId: '01a1fda0-4c5f-73af-a490-1e71198512a9',
  multiplierPpm: 1_000_000,
  units: { input: 1 },
  billable: true,
  costNano: '150',
  usageSource: 'provider',
  outcome: 'completed',
  attempts: 1,
  firstByteMs: null,
  totalMs: 5,
  finishedAt: '2026-11-21T10:00:00.000Z',
};

describe('parseUsageJob', () => {
  it('reads well-formed events', () => {
    expect(parseUsageJob({ version: 1, events: [event] })).toEqual({
      events: [event],
      malformed: [],
      traces: new Map(),
    });
  });

  it('reads events that name an escrow or are swept', () => {
    const events = [
      { ...event, escrowId: event.accountId },
      { ...event, swept: true },
    ];
    expect(parseUsageJob({ version: 2, events }).events).toEqual(events);
  });

  it.each([{ escrowId: 'e' }, { swept: false }])('sets aside an event with %j', (members) => {
    expect(parseUsageJob({ version: 2, events: [{ ...event, ...members }] }).malformed).toHaveLength(1);
  });

  it('reads which requests are traced', () => {
    const traces = { [event.requestId]: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
    const parsed = parseUsageJob({ version: 1, events: [event], traces });
    expect(parsed.traces).toEqual(new Map(Object.entries(traces)));
    expect(parsed.events).toEqual([event]);
  });

  it.each([null, [], 'text', { [event.requestId]: 7 }])(
    'reads the events beside traces that are %j',
    (traces) => {
      const parsed = parseUsageJob({ version: 1, events: [event], traces });
      expect([parsed.events, parsed.traces]).toEqual([[event], new Map()]);
    },
  );

  it('ignores members of the envelope that a newer gateway adds', () => {
    expect(parseUsageJob({ version: 1, events: [event], later: { deep: [1] } }).events).toEqual([event]);
  });

  it.each([
    ['a negative count', { ...event, units: { input: -1 } }],
    ['an unknown kind of unit', { ...event, units: { seconds: 1 } }],
    ['a cost that is a number', { ...event, costNano: 150 }],
    ['a cost with a sign', { ...event, costNano: '-150' }],
    ['an unknown outcome', { ...event, outcome: 'lost' }],
    ['an unknown field', { ...event, tip: 1 }],
    ['nothing', null],
  ])('sets aside an event with %s, without hiding the others', (_what, bad) => {
    const parsed = parseUsageJob({ version: 1, events: [event, bad, event] });
    expect(parsed.events).toHaveLength(2);
    expect(parsed.malformed).toEqual([{ body: bad, reason: expect.any(String) }]);
  });

  it.each([{ version: 3, events: [] }, { events: [] }, {}, null, 'text'])('does not know %j', (data) => {
    expect(() => parseUsageJob(data)).toThrow(UnknownUsageJobVersionError);
  });
});

describe('usageJobVersion', () => {
  it('is the first unless an event says what the build before cannot read', () => {
    expect(usageJobVersion([])).toBe(1);
    expect(usageJobVersion([event, event])).toBe(1);
    expect(usageJobVersion([event, { ...event, escrowId: event.accountId }])).toBe(2);
    expect(usageJobVersion([{ ...event, swept: true }])).toBe(2);
  });
});

describe('usageRetryDelayMs', () => {
  it('doubles from a quarter of a second up to half a minute', () => {
    expect([0, 1, 2, 10, 1_000_000].map(usageRetryDelayMs)).toEqual([250, 500, 1_000, 30_000, 30_000]);
  });
});
