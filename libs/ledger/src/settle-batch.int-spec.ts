import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { v4 as uuidv4, v7 as uuidv7 } from 'uuid';
import { expireHolds } from './expire-holds.js';
import { LedgerBench, requestIds, usageEvent } from './ledger.spec-kit.js';
import { PostgresHoldStore } from './postgres-hold-store.js';
import { settleBatch } from './settle-batch.js';

// Real: Postgres, as the application role.

let database: TestDatabase;
let bench: LedgerBench;
let store: PostgresHoldStore;

beforeAll(async () => {
  database = await createTestDatabase();
  bench = new LedgerBench(database);
  store = new PostgresHoldStore(bench.app);
});

afterAll(async () => {
  await store.shutdown();
  await bench.close();
  await database.drop();
});

afterEach(async () => {
  expect(await bench.violations()).toEqual([]);
});

const hold = (requestId: string, accountId: string, totalNano: bigint) =>
  store.hold({ requestId, accountId, totalNano });

async function quarantine(requestId: string) {
  return bench.sql('SELECT reason, body FROM tollgate.quarantine WHERE request_id = $1', [requestId]);
}

describe('settling one event', () => {
  it('debits the account once and answers what it charged', async () => {
    const accountId = await bench.newAccount(1_000n);
    const event = usageEvent(accountId, 300n);
    expect(await settleBatch(bench.sql, [event])).toEqual([
      { requestId: event.requestId, outcome: 'settled', reason: null, chargedNano: 300n, absorbedNano: 0n },
    ]);
    expect(await bench.account(accountId)).toEqual({ posted: 700n, held: 0n, floor: 0n, seq: 2n });
  });

  it('keeps the whole usage record', async () => {
    const accountId = await bench.newAccount(1_000n);
    const event = usageEvent(accountId, 7n, { firstByteMs: null, deploymentId: null, outcome: 'cut_off' });
    await settleBatch(bench.sql, [event]);
    const [row] = await bench.sql('SELECT * FROM tollgate.usage_record WHERE request_id = $1', [
      event.requestId,
    ]);
    expect(row).toMatchObject({
      swept: false,
      account_id: accountId,
      api_key_id: event.apiKeyId,
      model: event.model,
      upstream_model: event.upstreamModel,
      deployment_id: null,
      price_id: event.priceId,
      multiplier_ppm: 1_000_000,
      units: { input: 12, output: 34 },
      billable: true,
      usage_source: 'provider',
      outcome: 'cut_off',
      cost: '7',
      attempts: 1,
      first_byte_ms: null,
      total_ms: 950,
      finished_at: new Date(event.finishedAt),
    });
  });

  it('consumes the hold first and frees what is left of it', async () => {
    const accountId = await bench.newAccount(1_000n);
    const [requestId = ''] = requestIds(1);
    await hold(requestId, accountId, 400n);
    await settleBatch(bench.sql, [usageEvent(accountId, 150n, { requestId })]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 850n, held: 0n });
  });

  it('consumes what close has left set aside', async () => {
    const accountId = await bench.newAccount(1_000n);
    const [requestId = ''] = requestIds(1);
    await hold(requestId, accountId, 400n);
    await store.close(requestId, accountId, 150n);
    expect(await bench.account(accountId)).toMatchObject({ posted: 1_000n, held: 150n });
    await settleBatch(bench.sql, [usageEvent(accountId, 150n, { requestId })]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 850n, held: 0n });
  });

  it('takes a cost above the hold from what is available, then absorbs the rest', async () => {
    const accountId = await bench.newAccount(100n, -20n);
    const [requestId = ''] = requestIds(1);
    await hold(requestId, accountId, 90n);
    const settlements = await settleBatch(bench.sql, [usageEvent(accountId, 200n, { requestId })]);
    expect(settlements).toMatchObject([{ outcome: 'settled', chargedNano: 120n, absorbedNano: 80n }]);
    expect(await bench.account(accountId)).toMatchObject({ posted: -20n, held: 0n });
  });

  it('leaves the holds of other requests alone when it overruns its own', async () => {
    const accountId = await bench.newAccount(100n);
    const [first = '', second = ''] = requestIds(2);
    await hold(first, accountId, 40n);
    await hold(second, accountId, 60n);
    const settlements = await settleBatch(bench.sql, [usageEvent(accountId, 70n, { requestId: first })]);
    expect(settlements).toMatchObject([{ chargedNano: 40n, absorbedNano: 30n }]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 60n, held: 60n });
  });

  it('records a free request without a transfer', async () => {
    const accountId = await bench.newAccount(100n);
    const event = usageEvent(accountId, 0n, { outcome: 'upstream_failed', usageSource: 'none', units: {} });
    expect(await settleBatch(bench.sql, [event])).toMatchObject([{ outcome: 'settled', chargedNano: 0n }]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 100n, seq: 1n });
  });

  it('settles an event whose hold has expired', async () => {
    const accountId = await bench.newAccount(100n);
    const [requestId = ''] = requestIds(1);
    await hold(requestId, accountId, 50n);
    await bench.owner.query(
      `UPDATE tollgate.reservation SET deadline_at = now() - interval '1 s' WHERE id = $1`,
      [requestId],
    );
    await expireHolds(bench.sql, 100);
    await settleBatch(bench.sql, [usageEvent(accountId, 50n, { requestId })]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 50n, held: 0n });
  });
});

describe('settling again', () => {
  it('knows an event that comes twice, in one batch or in two', async () => {
    const accountId = await bench.newAccount(1_000n);
    const event = usageEvent(accountId, 10n);
    const other = usageEvent(accountId, 5n);
    const once = await settleBatch(bench.sql, [event, event]);
    expect(once.map(({ outcome }) => outcome)).toEqual(['settled', 'known']);
    const again = await settleBatch(bench.sql, [other, event]);
    expect(again.map(({ outcome }) => outcome)).toEqual(['settled', 'known']);
    expect(again[1]).toMatchObject({ chargedNano: 0n, absorbedNano: 0n });
    expect(await bench.account(accountId)).toMatchObject({ posted: 985n, seq: 3n });
  });

  it('quarantines another event of a settled request and lets the first stand', async () => {
    const accountId = await bench.newAccount(1_000n);
    const event = usageEvent(accountId, 7n);
    const forged = { ...event, costNano: '900' };
    await settleBatch(bench.sql, [event]);
    expect(await settleBatch(bench.sql, [forged])).toMatchObject([
      { outcome: 'quarantined', reason: 'other_content', chargedNano: 0n },
    ]);
    expect(await quarantine(event.requestId)).toEqual([{ reason: 'other_content', body: forged }]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 993n });
  });

  it('takes the first of two different events of one request in a batch, and quarantines the other', async () => {
    const accountId = await bench.newAccount(1_000n);
    const first = usageEvent(accountId, 7n);
    const second = { ...first, costNano: '900' };
    const settlements = await settleBatch(bench.sql, [first, second]);
    expect(settlements).toMatchObject([
      { outcome: 'settled', chargedNano: 7n },
      { outcome: 'quarantined', reason: 'other_content' },
    ]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 993n });
  });

  it('quarantines a settled request that comes again under another account', async () => {
    const accountId = await bench.newAccount(1_000n);
    const otherId = await bench.newAccount(1_000n);
    const event = usageEvent(accountId, 7n);
    await settleBatch(bench.sql, [event]);
    expect(await settleBatch(bench.sql, [{ ...event, accountId: otherId }])).toMatchObject([
      { outcome: 'quarantined' },
    ]);
    expect(await bench.account(otherId)).toMatchObject({ posted: 1_000n });
  });
});

describe('one bad event of two hundred', () => {
  const cases: [string, Record<string, unknown>, string][] = [
    ['an unknown account', { accountId: uuidv7() }, 'unknown_account'],
    ['a count beyond its column', { totalMs: 2 ** 40 }, 'number_out_of_range'],
    ['a fraction of an attempt', { attempts: 1.5 }, 'number_out_of_range'],
    ['a multiplier beyond its column', { multiplierPpm: 2 ** 31 }, 'number_out_of_range'],
    ['a cost beyond any balance', { costNano: '9999999999999999999' }, 'cost_out_of_range'],
    ['a negative cost', { costNano: '-1' }, 'cost_out_of_range'],
    [
      'a request id that is not of its time',
      { requestId: uuidv7({ msecs: Date.UTC(2020, 1) }) },
      'outside_kept_months',
    ],
    [
      'a request id of next week',
      { requestId: uuidv7({ msecs: Date.now() + 7 * 86_400_000 }) },
      'outside_kept_months',
    ],
    ['a cost that is no number', { costNano: 'free' }, 'sqlstate_22P02'],
    ['an id that is no UUID', { priceId: 'price' }, 'sqlstate_22P02'],
    ['an escrow that is no UUID', { escrowId: 'escrow' }, 'sqlstate_22P02'],
    ['a mark of sweeping that is neither true nor false', { swept: 'perhaps' }, 'sqlstate_22P02'],
    ['a model name with NUL', { model: 'a\0b' }, 'sqlstate_22P05'],
    ['a source of usage that nobody knows', { usageSource: 'guess' }, 'sqlstate_23514'],
    ['no model', { model: null }, 'sqlstate_23502'],
    ['a day that does not exist', { finishedAt: '2026-02-31T00:00:00Z' }, 'sqlstate_22008'],
  ];

  it.each(cases)('with %s is quarantined, and the others settle', async (_, changes, reason) => {
    const accountId = await bench.newAccount(10_000n);
    const events = Array.from({ length: 200 }, () => usageEvent(accountId, 10n));
    const bad = { ...usageEvent(accountId, 10n), ...changes };
    events[117] = bad;
    const settlements = await settleBatch(bench.sql, events);
    expect(settlements.map(({ requestId }) => requestId)).toEqual(events.map(({ requestId }) => requestId));
    expect(settlements[117]).toMatchObject({ outcome: 'quarantined', reason, chargedNano: 0n });
    expect(settlements.filter(({ outcome }) => outcome === 'settled')).toHaveLength(199);
    expect(await bench.account(accountId)).toMatchObject({ posted: 10_000n - 1_990n, seq: 200n });
    expect(await quarantine(bad.requestId)).toMatchObject([{ reason }]);
    expect((await settleBatch(bench.sql, events))[117]).toMatchObject({ outcome: 'quarantined', reason });
    expect(await quarantine(bad.requestId)).toHaveLength(1);
  });

  it('with a request id that is none is quarantined under no request', async () => {
    const accountId = await bench.newAccount(100n);
    const bad = usageEvent(accountId, 1n, { requestId: 'req-without-uuid' });
    const settlements = await settleBatch(bench.sql, [bad, usageEvent(accountId, 1n)]);
    expect(settlements.map(({ outcome }) => outcome)).toEqual(['quarantined', 'settled']);
    expect(await quarantine('00000000-0000-0000-0000-000000000000')).toMatchObject([{ body: bad }]);
  });

  it('with a version 4 request id is quarantined where that lies outside the kept months', async () => {
    const accountId = await bench.newAccount(100n);
    const requestId = `ff${uuidv4().slice(2)}`;
    const settlements = await settleBatch(bench.sql, [usageEvent(accountId, 1n, { requestId })]);
    expect(settlements).toMatchObject([{ outcome: 'quarantined', reason: 'outside_kept_months' }]);
  });

  it('of a request that holds credits of another account is quarantined, and the hold stays', async () => {
    const holder = await bench.newAccount(100n);
    const other = await bench.newAccount(100n);
    const [requestId = ''] = requestIds(1);
    await hold(requestId, holder, 60n);
    expect(await settleBatch(bench.sql, [usageEvent(other, 60n, { requestId })])).toMatchObject([
      { outcome: 'quarantined', reason: 'request_of_another_account' },
    ]);
    expect(await bench.account(holder)).toMatchObject({ posted: 100n, held: 60n });
    expect(await bench.account(other)).toMatchObject({ posted: 100n, held: 0n });
  });
});

describe('an account in one batch', () => {
  it('nothing is absorbed while the same batch frees money: what an earlier request frees pays a later one', async () => {
    const accountId = await bench.newAccount(100n);
    const [frees = '', overruns = ''] = requestIds(2);
    await hold(frees, accountId, 80n);
    await hold(overruns, accountId, 20n);
    const settlements = await settleBatch(bench.sql, [
      usageEvent(accountId, 70n, { requestId: overruns }),
      usageEvent(accountId, 10n, { requestId: frees }),
    ]);
    expect(settlements).toMatchObject([
      { chargedNano: 70n, absorbedNano: 0n },
      { chargedNano: 10n, absorbedNano: 0n },
    ]);
    expect(await bench.account(accountId)).toMatchObject({ posted: 20n, held: 0n });
  });

  it('account_seq has no gap after free requests, top-ups and absorbed ones', async () => {
    const accountId = await bench.newAccount(30n);
    const events = [0n, 10n, 0n, 50n, 5n].map((costNano) => usageEvent(accountId, costNano));
    await settleBatch(bench.sql, events);
    const transfers = await bench.transfers(accountId);
    expect(
      transfers.map(({ kind, amount, account_seq, balance_after }) => [
        kind,
        amount,
        account_seq,
        balance_after,
      ]),
    ).toEqual([
      ['top_up', '30', '1', '30'],
      ['usage', '10', '2', '20'],
      ['usage', '20', '3', '0'],
    ]);
    expect(
      await bench.sql(
        `SELECT sum(amount)::text AS absorbed FROM tollgate.transfer WHERE kind = 'absorbed' AND ref_id = ANY ($1)`,
        [events.map(({ requestId }) => requestId)],
      ),
    ).toEqual([{ absorbed: '35' }]);
  });
});

describe('settle_batch by itself', () => {
  it('knows the second of two equal events in one call', async () => {
    const accountId = await bench.newAccount(100n);
    const event = usageEvent(accountId, 10n);
    expect(await bench.settleDirectly([event, event, { ...event, costNano: '11' }])).toEqual([
      { outcome: 'settled', reason: null, charged: '10', absorbed: '0' },
      { outcome: 'known', reason: null, charged: '0', absorbed: '0' },
      { outcome: 'quarantined', reason: 'other_content', charged: '0', absorbed: '0' },
    ]);
  });

  it('settles an event behind a bad one of the same request', async () => {
    const accountId = await bench.newAccount(100n);
    const event = usageEvent(accountId, 10n);
    expect(await bench.settleDirectly([{ ...event, attempts: -1 }, event])).toMatchObject([
      { outcome: 'quarantined', reason: 'number_out_of_range' },
      { outcome: 'settled', charged: '10' },
    ]);
  });

  it('takes the events of an account in the order of their ids, whatever their order in the call', async () => {
    const accountId = await bench.newAccount(100n);
    const [frees = '', overruns = ''] = requestIds(2);
    await hold(frees, accountId, 80n);
    await hold(overruns, accountId, 20n);
    const events = [
      usageEvent(accountId, 70n, { requestId: overruns }),
      usageEvent(accountId, 10n, { requestId: frees }),
    ];
    expect(await bench.settleDirectly(events)).toMatchObject([
      { charged: '70', absorbed: '0' },
      { charged: '10', absorbed: '0' },
    ]);
    const balances = (await bench.transfers(accountId)).map((row) => [row['ref_id'], row['balance_after']]);
    expect(balances.slice(1)).toEqual([
      [frees, '90'],
      [overruns, '20'],
    ]);
  });
});

describe('a batch that has to be halved', () => {
  it('is settled in the order of ids all the same', async () => {
    const accountId = await bench.newAccount(100n);
    const [frees = '', bad = '', overruns = ''] = requestIds(3);
    await hold(frees, accountId, 80n);
    await hold(overruns, accountId, 20n);
    const settlements = await settleBatch(bench.sql, [
      usageEvent(accountId, 70n, { requestId: overruns }),
      usageEvent(accountId, 1n, { requestId: bad, model: '\0' }),
      usageEvent(accountId, 10n, { requestId: frees }),
    ]);
    expect(settlements).toMatchObject([
      { outcome: 'settled', chargedNano: 70n, absorbedNano: 0n },
      { outcome: 'quarantined', reason: 'sqlstate_22P05' },
      { outcome: 'settled', chargedNano: 10n },
    ]);
  });
});

describe('a server in trouble', () => {
  it('fails the batch, which settles when it comes again', async () => {
    const accountId = await bench.newAccount(100n);
    const events = [usageEvent(accountId, 1n), usageEvent(accountId, 2n)];
    const broken = async (): Promise<never> => {
      throw Object.assign(new Error('Connection terminated unexpectedly'));
    };
    await expect(settleBatch(broken, events)).rejects.toThrow('Connection terminated');
    expect(await settleBatch(bench.sql, events)).toMatchObject([
      { outcome: 'settled' },
      { outcome: 'settled' },
    ]);
  });

  it.each([
    ['is read-only', 'SET default_transaction_read_only = on', '25006'],
    ['lacks the function', 'SET ROLE pg_monitor', '42501'],
  ])('that %s quarantines nothing', async (_, statement, code) => {
    const accountId = await bench.newAccount(100n);
    const client = await bench.owner.connect();
    try {
      await client.query(statement);
      const sql = async (text: string, params?: unknown[]) => (await client.query(text, params)).rows;
      await expect(settleBatch(sql, [usageEvent(accountId, 1n)])).rejects.toMatchObject({ code });
    } finally {
      client.release(true);
    }
  });
});
