import type { SentRequest } from '../clients/sent-request.js';
import { markerOf } from '../upstream/asked-answer.js';
import type { KnownPrice } from './exact-cost.js';
import { judgeAbsorbed } from './absorbed.js';
import { judgeRequest } from './judge-request.js';
import type { Jury } from './jury.js';
import type { LostJournal } from '../world/journal-files.js';
import type { TransferRow, UsageRow } from './ledger-books.js';
import { gatherCases, type RequestCase } from './request-case.js';

// A request that is right in all books, and what is said once one of them is wrong.

const requestId = '01a1ffc3-efc7-77b4-8c88-e36c6bfecfb1';
const asked = {
  number: 1,
  isStreamed: true,
  chunks: 4,
  chunkBytes: 20,
  chunkDelayMs: 0,
  tokensPerChunk: 2,
  hasUsage: true,
  fault: 'none' as const,
  faultAfterChunks: 0,
};
const price: KnownPrice = {
  id: 'price',
  model: 'chaos-small',
  inputPico: 150_007n,
  outputPico: 600_013n,
  perRequestNano: 0n,
  minimumChargeNano: 0n,
  effectiveFromMs: 0,
};
const jury: Jury = {
  prices: new Map([[price.id, price]]),
  priceDelayMs: 1_000,
  fenceMs: 6_000,
  holdLifeMs: 9_000,
};
/** 25 and 8 tokens: 3,750.175 and 4,800.104 nano-credits. */
const COST = 8_551n;

const sent: SentRequest = {
  asked,
  marker: markerOf(asked),
  account: { id: 'account', name: 'ample 1', apiKey: 'key', means: 'ample', multiplierPpm: 1_000_000 },
  model: 'chaos-small',
  gateway: 'gateway-1',
  promptBytes: 100,
  sentAtMs: 10_000,
  endedAtMs: 12_000,
  outcome: 'complete',
  requestId,
  status: 200,
  errorCode: null,
  contentBytes: 80,
  firstContentAtMs: 10_100,
  usage: { input: 25, output: 8 },
  chargedCredits: null,
};
const delivered = {
  marker: sent.marker,
  requestId: 'req_01a1ffc3efc777b48c88e36c6bfecfb1',
  status: 200,
  isStreamed: true,
  chunks: 4,
  contentBytes: 80,
  hasEnded: true,
  hasClientLeft: false,
  usage: { prompt_tokens: 25, completion_tokens: 8 },
  arrivedAtMs: 10_010,
  closedAtMs: 11_990,
};
const truth: UsageRow = {
  requestId,
  isSwept: false,
  accountId: 'account',
  costNano: COST,
  input: 25,
  output: 8,
  priceId: 'price',
  multiplierPpm: 1_000_000,
  isBillable: true,
  usageSource: 'provider',
  outcome: 'completed',
  recordedAtMs: 12_100,
};
const right: RequestCase = {
  sent,
  requestId,
  delivered: [delivered],
  truth: [truth],
  swept: [],
  transfers: [moved('usage', -COST)],
  events: [eventOf(COST)],
  checkpoints: [],
  isJournalLost: false,
  isForgotten: false,
  diedAtMs: null,
  frozenMs: 0,
};
/** Its gateway died 2.1 s after the first content. */
const died: RequestCase = {
  ...right,
  sent: { ...sent, outcome: 'broken', endedAtMs: 12_200, usage: null, contentBytes: 40 },
  delivered: [{ ...delivered, hasEnded: false, usage: null, chunks: 2, contentBytes: 40 }],
  truth: [],
  swept: [{ ...truth, isSwept: true, costNano: 6_000n, usageSource: 'partial', outcome: 'client_closed' }],
  transfers: [moved('swept', -6_000n)],
  events: [],
  checkpoints: [{ kind: 'checkpoint', contract: 2, event: eventOf(5_000n).event }],
  diedAtMs: 12_200,
};

function moved(kind: string, amountNano: bigint): TransferRow {
  return { id: '1', kind, refId: requestId, accountId: 'account', amountNano };
}

function eventOf(costNano: bigint): RequestCase['events'][number] {
  const event = {
    requestId,
    accountId: 'account',
    costNano: costNano.toString(),
    units: {},
    outcome: 'completed',
  };
  return { kind: 'event', contract: 2, event };
}

function rulesOf(one: RequestCase): string[] {
  const violations = [...judgeRequest(one, jury), ...judgeAbsorbed([one], jury)];
  return [...new Set(violations.map(({ rule }) => rule))].sort();
}

/** The same with another cost all over the books. */
function charged(costNano: bigint): Partial<RequestCase> {
  return {
    truth: [{ ...truth, costNano }],
    transfers: [moved('usage', -costNano)],
    events: [eventOf(costNano)],
  };
}

describe('a request before the judge', () => {
  it('is right where all books agree', () => {
    expect(judgeRequest(right, jury)).toEqual([]);
    expect(judgeRequest(died, jury)).toEqual([]);
  });

  it.each<[string, Partial<RequestCase>, string[]]>([
    ['is lost from the books', { truth: [], transfers: [] }, ['lost']],
    ['is lost from the books and the journal', { truth: [], transfers: [], events: [] }, ['lost']],
    ['is recorded twice', { truth: [truth, truth] }, ['charged twice']],
    ['is paid twice', { transfers: [moved('usage', -COST), moved('usage', -COST)] }, ['wrong amount']],
    ['is not paid', { transfers: [] }, ['wrong amount']],
    ['costs a nano-credit too much everywhere', charged(COST + 1n), ['wrong amount']],
    ['costs a nano-credit too little everywhere', charged(COST - 1n), ['wrong amount']],
    [
      'has other tokens',
      {
        truth: [{ ...truth, output: 7, costNano: 7_951n }],
        transfers: [moved('usage', -7_951n)],
        events: [eventOf(7_951n)],
      },
      ['wrong amount'],
    ],
    [
      'is free',
      {
        truth: [{ ...truth, isBillable: false, usageSource: 'none', costNano: 0n, input: 0, output: 0 }],
        transfers: [],
        events: [eventOf(0n)],
      },
      ['free though delivered', 'wrong amount'],
    ],
    ['is paid by nobody', { transfers: [moved('usage', -8_000n), moved('absorbed', -551n)] }, ['absorbed']],
    ['is another account’s', { truth: [{ ...truth, accountId: 'other' }] }, ['wrong account']],
    ['has an unknown price', { truth: [{ ...truth, priceId: 'other' }] }, ['wrong price']],
    [
      'has another multiplier',
      { truth: [{ ...truth, multiplierPpm: 2_000_000 }] },
      ['wrong amount', 'wrong price'],
    ],
    ['was delivered by nobody', { delivered: [] }, ['answer of nobody', 'wrong amount']],
    ['was delivered twice', { delivered: [delivered, delivered] }, ['delivered twice']],
    [
      'is only guessed, and its gateway lives',
      { truth: [], events: [], swept: [{ ...truth, isSwept: true }], transfers: [moved('swept', -COST)] },
      ['lost'],
    ],
    [
      'keeps the guess beside the truth',
      {
        swept: [{ ...truth, isSwept: true, costNano: 5n }],
        transfers: [moved('usage', -COST), moved('swept', -5n)],
      },
      ['wrong amount'],
    ],
  ])('is found out where it %s', (_, change, rules) => {
    expect(rulesOf({ ...right, ...change })).toEqual(rules);
  });

  it.each<[string, Partial<RequestCase>, string[]]>([
    ['is not swept though there was a checkpoint', { swept: [], transfers: [] }, ['lost']],
    ['is not swept, and nobody wrote a checkpoint', { swept: [], transfers: [], checkpoints: [] }, ['lost']],
    [
      'is swept below its first checkpoint',
      { swept: [{ ...truth, isSwept: true, costNano: 4_999n }], transfers: [moved('swept', -4_999n)] },
      ['wrong amount'],
    ],
    [
      'is swept above all that was delivered',
      { swept: [{ ...truth, isSwept: true, costNano: 20_000n }], transfers: [moved('swept', -20_000n)] },
      ['wrong amount'],
    ],
  ])('is found out where its gateway died and it %s', (_, change, rules) => {
    expect(rulesOf({ ...died, ...change })).toEqual(rules);
  });

  it('may be absorbed where its gateway was frozen past the fence', () => {
    const absorbed = { ...right, transfers: [moved('usage', -8_000n), moved('absorbed', -551n)] };
    expect(rulesOf({ ...absorbed, frozenMs: 6_000 })).toEqual([]);
    expect(rulesOf({ ...absorbed, frozenMs: 5_999 })).toEqual(['absorbed']);
  });

  it('may be swept for less than its first checkpoint where that was later than its hold lives', () => {
    const guess = { ...truth, isSwept: true, costNano: 0n, usageSource: 'partial', recordedAtMs: 21_200 };
    expect(rulesOf({ ...died, swept: [guess], transfers: [] })).toEqual([]);
    expect(rulesOf({ ...died, swept: [{ ...guess, recordedAtMs: 21_199 }], transfers: [] })).toEqual([
      'wrong amount',
    ]);
  });

  it('may be absorbed where it was settled later than its hold lives', () => {
    const absorbed = { ...right, transfers: [moved('usage', -8_000n), moved('absorbed', -551n)] };
    expect(rulesOf({ ...absorbed, truth: [{ ...truth, recordedAtMs: 21_000 }] })).toEqual([]);
    expect(rulesOf({ ...absorbed, truth: [{ ...truth, recordedAtMs: 20_999 }] })).toEqual(['absorbed']);
  });

  describe('may be absorbed where late usage of its account took its money before', () => {
    const late: RequestCase = {
      ...right,
      truth: [{ ...truth, recordedAtMs: 21_000, costNano: 600n }],
      transfers: [{ ...moved('usage', -600n), id: '7' }],
    };
    const displaced: RequestCase = {
      ...right,
      transfers: [
        { ...moved('usage', -8_000n), id: '10' },
        { ...moved('absorbed', -551n), id: '11' },
      ],
    };
    const accused = (cases: RequestCase[]): number => judgeAbsorbed(cases, jury).length;

    it('and no more than that, once', () => {
      expect(accused([displaced, late])).toBe(0);
      expect(
        accused([displaced, { ...late, truth: [{ ...truth, recordedAtMs: 21_000, costNano: 550n }] }]),
      ).toBe(1);
      const again = displaced.transfers.map((row) => ({ ...row, id: `1${row.id}` }));
      expect(accused([displaced, late, { ...displaced, transfers: again }])).toBe(1);
    });

    it('but not after, not in time, and not of another account', () => {
      expect(accused([displaced, { ...late, transfers: [{ ...moved('usage', -600n), id: '12' }] }])).toBe(1);
      expect(accused([displaced, { ...late, truth: [truth] }])).toBe(1);
      expect(
        accused([displaced, { ...late, sent: { ...sent, account: { ...sent.account, id: 'other' } } }]),
      ).toBe(1);
    });
  });

  it('may cost nothing where its gateway died at once, or every copy of it was lost', () => {
    const gone = { swept: [], transfers: [], checkpoints: [] };
    expect(rulesOf({ ...died, ...gone, diedAtMs: 10_500 })).toEqual([]);
    expect(rulesOf({ ...died, ...gone, isJournalLost: true, isForgotten: true })).toEqual([]);
    expect(rulesOf({ ...died, ...gone, isJournalLost: true })).toEqual(['lost']);
  });

  it('may cost less than it was worth, though the client has it all, where the disk of its gateway was lost', () => {
    const guessed = { ...died, sent: { ...sent, endedAtMs: 11_600 }, delivered: [delivered] };
    const gone = { ...guessed, swept: [], transfers: [], checkpoints: [] };
    expect(rulesOf(guessed)).toEqual(['lost']);
    expect(rulesOf({ ...guessed, isJournalLost: true })).toEqual([]);
    expect(rulesOf({ ...gone, diedAtMs: 10_500 })).toEqual(['lost']);
    expect(rulesOf({ ...gone, diedAtMs: 10_500, isJournalLost: true })).toEqual([]);
    const long = { ...guessed.sent, endedAtMs: 12_101 };
    expect(rulesOf({ ...gone, sent: long, diedAtMs: 12_500, isJournalLost: true })).toEqual(['lost']);
    // However long after its end: nothing had left it by then.
    const short = { ...long, endedAtMs: 12_100 };
    expect(rulesOf({ ...gone, sent: short, diedAtMs: 15_000, isJournalLost: true })).toEqual([]);
    expect(rulesOf({ ...gone, sent: long, frozenMs: 1, diedAtMs: 15_000, isJournalLost: true })).toEqual([]);
  });

  describe('died under its gateway', () => {
    const left: SentRequest = { ...sent, outcome: 'left', endedAtMs: 10_200 };
    const life = { pid: 1, armedFault: null, readyAtMs: 5_000, isEndWanted: true };
    const diedAt = (
      endedAtMs: number,
      deliveries: RequestCase['delivered'],
      end = 'SIGKILL',
      lostJournals: LostJournal[] = [],
    ): number | null => {
      const lives = new Map([['gateway-1', [{ ...life, startedAtMs: 0, endedAtMs, end }]]]);
      const books = { usage: [], transfers: [], accounts: [], prices: [], quarantine: [], violations: [] };
      const { cases } = gatherCases({
        sent: [left],
        delivered: deliveries,
        books: { ...books, liveReservations: [] },
        journal: [],
        lostJournals,
        forgotten: [],
        holdLifeMs: 9_000,
        lives,
        freezes: new Map(),
      });
      return cases[0]?.diedAtMs ?? null;
    };

    it('where it was killed before the event could be on the disk', () => {
      expect(diedAt(13_200, [])).toBe(13_200);
      expect(diedAt(13_201, [])).toBeNull();
      expect(diedAt(13_200, [], 'exit code 0')).toBeNull();
    });

    it('whenever that was, where its disk was lost and its event was nowhere else', () => {
      const lines = [eventOf(COST)];
      expect(diedAt(60_000, [], 'SIGKILL', [{ lines, copied: new Set() }])).toBe(60_000);
      expect(diedAt(60_000, [], 'SIGKILL', [{ lines, copied: new Set([requestId]) }])).toBeNull();
    });

    it('and where that was late, as its upstream was asked long after its client had left', () => {
      const late = { ...delivered, arrivedAtMs: 15_000, closedAtMs: 15_010 };
      expect(diedAt(18_010, [late])).toBe(18_010);
      expect(diedAt(18_011, [late])).toBeNull();
    });
  });

  it('is found out where it was refused and served, or refused though there is money', () => {
    const refused = {
      ...right,
      sent: {
        ...sent,
        outcome: 'refused' as const,
        errorCode: 'billing_unavailable',
        contentBytes: 0,
        usage: null,
      },
    };
    expect(rulesOf(refused)).toEqual(['charged though refused', 'served though refused']);
    const broke = { ...refused, delivered: [], truth: [], transfers: [], events: [] };
    expect(rulesOf(broke)).toEqual([]);
    expect(rulesOf({ ...broke, sent: { ...broke.sent, errorCode: 'insufficient_quota' } })).toEqual([
      'false refusal',
    ]);
  });
});
