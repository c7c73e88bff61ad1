import { OUTCOMES, USAGE_SOURCES, type UsageEvent } from '@tollgate/contracts';
import { poolSql, settleBatch } from '@tollgate/ledger';
import { requestIdTime } from '@tollgate/persistence';
import { UNIT_KINDS, formatAmount, parseAmount } from '@tollgate/pricing';
import * as fc from 'fast-check';
import { v4 as uuidv4, v7 as uuidv7 } from 'uuid';
import { freshKey, openAccount, startAdmin, type AdminUnderTest } from '../admin.spec-kit.js';
import { revenueReportSchema, usageReportSchema, type UsageReport } from './report.schema.js';

// Real: Postgres and the ledger's own functions. What a report says is compared with sums made here, row by row.

const SEED = 20261121;
const DAY_MS = 86_400_000;
const SPAN_DAYS = 40;
/** In the past, so that what is asked for is over. */
const END = Math.floor(Date.now() / DAY_MS) * DAY_MS;
const START = END - SPAN_DAYS * DAY_MS;

interface Transfer {
  readonly kind: string;
  readonly ref_id: string;
  readonly account_id: string | null;
  readonly amount: string;
  readonly created_at: Date;
}

let admin: AdminUnderTest;
let accounts: string[];
let keys: string[];
let deployments: string[];
let events: UsageEvent[];
let transfers: Transfer[];
let absorbed: Map<string, bigint>;

beforeAll(async () => {
  admin = await startAdmin();
  accounts = [await openAccount(admin, '9'), await openAccount(admin, '3'), await openAccount(admin)];
  keys = [];
  for (const id of accounts) {
    for (const name of ['a', 'b']) {
      keys.push((await admin.call('POST', `/accounts/${id}/api-keys`, { body: { name } })).body.id);
    }
  }
  const deployment = { name: 'd', baseUrl: 'http://127.0.0.1:1/v1', credential: 'sk-x' };
  deployments = [(await admin.call('POST', '/deployments', { body: deployment })).body.id, uuidv4()];
  await move(0, 'grant', '2.000000001');
  await move(0, 'refund', '-1');
  await move(1, 'adjustment', '-0.5');
  events = fc.sample(usageEvents(), { seed: SEED, numRuns: 400 });
  for (let index = 0; index < events.length; index += 50) {
    await settleBatch(poolSql(admin.owner), events.slice(index, index + 50));
  }
  await scatter();
  transfers = (await admin.owner.query('SELECT * FROM tollgate.transfer')).rows;
  absorbed = new Map(
    transfers.filter(({ kind }) => kind === 'absorbed').map(({ ref_id, amount }) => [ref_id, BigInt(amount)]),
  );
}, 60_000);
afterAll(() => admin.stop());

async function move(index: number, kind: string, amount: string): Promise<void> {
  const { status } = await admin.call('POST', `/accounts/${accounts[index]}/adjustments`, {
    body: { kind, amount },
    headers: freshKey(),
  });
  expect(status).toBe(201);
}

function usageEvents(): fc.Arbitrary<UsageEvent> {
  return fc
    .record({
      msecs: fc.integer({ min: START, max: END - 1 }),
      key: fc.nat({ max: 5 }),
      model: fc.constantFrom('m1', 'm2', 'm3'),
      deploymentId: fc.constantFrom(null, ...deployments),
      outcome: fc.constantFrom(...OUTCOMES),
      usageSource: fc.constantFrom(...USAGE_SOURCES),
      cost: fc.oneof(fc.constant(0n), fc.bigInt({ min: 1n, max: 99_999_999n })),
      units: fc.record(
        { input: fc.nat(), output: fc.nat({ max: 2 ** 40 }), cachedInput: fc.nat() },
        { requiredKeys: [] },
      ),
      firstByteMs: fc.option(fc.nat({ max: 5_000 })),
      totalMs: fc.nat({ max: 9_000 }),
    })
    .map(({ msecs, key, cost, ...rest }) => ({
      ...rest,
      requestId: uuidv7({ msecs }),
      accountId: accounts[Math.floor(key / 2)] ?? '',
      apiKeyId: keys[key] ?? '',
      upstreamModel: 'up',
      priceId: uuidv4(),
      multiplierPpm: 1_000_000,
      billable: true,
      costNano: cost.toString(),
      attempts: 1,
      finishedAt: new Date(msecs).toISOString(),
    }));
}

/** Spreads what was booked a moment ago over the days, in its order. */
async function scatter(): Promise<void> {
  await admin.owner.query(
    `UPDATE tollgate.transfer t SET created_at = to_timestamp($1::float8 / 1000 + n.at * $2::float8 / 1000)
       FROM (SELECT id, (row_number() OVER (ORDER BY id))::float8 / (count(*) OVER () + 1) AS at FROM tollgate.transfer) AS n
      WHERE n.id = t.id`,
    [START, END - START],
  );
}

const instants = fc.integer({ min: START - DAY_MS, max: END + DAY_MS }).map((ms) => new Date(ms));
const spans = fc
  .tuple(instants, instants)
  .filter(([a, b]) => a.getTime() !== b.getTime())
  .map(([a, b]) => (a < b ? { from: a, to: b } : { from: b, to: a }));

function queryOf(parameters: Record<string, string | Date | undefined>): string {
  return Object.entries(parameters)
    .flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${value instanceof Date ? value.toISOString() : value}`],
    )
    .join('&');
}

/** The key of an event in a group. */
const KEY_OF: Record<string, (event: UsageEvent) => [string, string | null]> = {
  account: ({ accountId }) => ['accountId', accountId],
  key: ({ apiKeyId }) => ['apiKeyId', apiKeyId],
  model: ({ model }) => ['model', model],
  deployment: ({ deploymentId }) => ['deploymentId', deploymentId],
  day: ({ requestId }) => ['day', requestIdTime(requestId).toISOString().slice(0, 10)],
  hour: ({ requestId }) => ['hour', `${requestIdTime(requestId).toISOString().slice(0, 13)}:00:00.000Z`],
};

function sumsOf(of: readonly UsageEvent[]): Omit<UsageReport['totals'], never> {
  const cost = of.reduce((sum, { costNano }) => sum + BigInt(costNano), 0n);
  const borne = of.reduce((sum, { requestId }) => sum + (absorbed.get(requestId) ?? 0n), 0n);
  const count = (test: (event: UsageEvent) => boolean) => of.filter(test).length;
  const average = (values: readonly number[]) =>
    values.length === 0 ? null : Math.round(values.reduce((sum, value) => sum + value, 0) / values.length);
  return usageReportSchema.shape.totals.parse({
    requests: of.length,
    outcomes: Object.fromEntries(OUTCOMES.map((name) => [name, count(({ outcome }) => outcome === name)])),
    usageSources: Object.fromEntries(
      USAGE_SOURCES.map((name) => [name, count(({ usageSource }) => usageSource === name)]),
    ),
    units: Object.fromEntries(
      UNIT_KINDS.map((kind) => [kind, String(of.reduce((sum, { units }) => sum + (units[kind] ?? 0), 0))]),
    ),
    cost: formatAmount(cost),
    charged: formatAmount(cost - borne),
    absorbed: formatAmount(borne),
    averageFirstByteMs: average(of.flatMap(({ firstByteMs }) => firstByteMs ?? [])),
    averageTotalMs: average(of.map(({ totalMs }) => totalMs)),
  });
}

describe('GET /reports/usage', () => {
  it('has data in which accounts could not pay all', () => {
    expect(events.length).toBe(400);
    expect(absorbed.size).toBeGreaterThan(20);
    expect(transfers.filter(({ kind }) => kind === 'usage').length).toBeGreaterThan(20);
  });

  it('sums exactly what was settled, however it is grouped and filtered', async () => {
    const questions = fc.record({
      groupBy: fc.uniqueArray(fc.constantFrom('account', 'key', 'model', 'deployment', 'day', 'hour'), {
        minLength: 1,
        maxLength: 2,
      }),
      span: spans,
      filter: fc.constantFrom<[string, (event: UsageEvent) => string | null] | null>(
        null,
        ['accountId', ({ accountId }) => accountId],
        ['apiKeyId', ({ apiKeyId }) => apiKeyId],
        ['model', ({ model }) => model],
        ['deploymentId', ({ deploymentId }) => deploymentId],
        ['outcome', ({ outcome }) => outcome],
        ['usageSource', ({ usageSource }) => usageSource],
      ),
      example: fc.nat({ max: 399 }),
      minCost: fc.option(fc.bigInt({ min: 0n, max: 99_999_999n }), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(questions, async ({ groupBy, span, filter, example, minCost }) => {
        if (groupBy.includes('hour') && span.to.getTime() - span.from.getTime() > 31 * DAY_MS) return;
        const sample = events[example];
        const [name, valueOf] = filter ?? ['model', () => null];
        const value = sample === undefined ? null : valueOf(sample);
        const { status, body } = await admin.call(
          'GET',
          `/reports/usage?${queryOf({
            groupBy: groupBy.join(','),
            ...span,
            [name]: value ?? undefined,
            minCost: minCost === undefined ? undefined : formatAmount(minCost),
          })}`,
        );
        expect([status, body]).toEqual([200, expect.anything()]);
        const report = usageReportSchema.parse(body);
        const chosen = events.filter((event) => {
          const at = requestIdTime(event.requestId);
          const fits = value === null || valueOf(event) === value;
          return at >= span.from && at < span.to && fits && BigInt(event.costNano) >= (minCost ?? 0n);
        });
        const grouped = new Map<string, UsageEvent[]>();
        for (const event of chosen) {
          const key = JSON.stringify(groupBy.map((group) => KEY_OF[group]?.(event)));
          grouped.set(key, [...(grouped.get(key) ?? []), event]);
        }
        expect(report.totals).toEqual(sumsOf(chosen));
        expect(report.data).toHaveLength(grouped.size);
        for (const row of report.data) {
          const fields = groupBy.map((group) => KEY_OF[group]?.(sampleEvent())[0] ?? '');
          const key = JSON.stringify(fields.map((field) => [field, Reflect.get(row, field)]));
          expect(row).toMatchObject(sumsOf(grouped.get(key) ?? []));
        }
      }),
      { seed: SEED, numRuns: 60 },
    );
  }, 120_000);

  it('names accounts, keys and deployments, and puts days in their order', async () => {
    const range = queryOf({ from: new Date(START), to: new Date(END) });
    const byKey = (await admin.call('GET', `/reports/usage?groupBy=account,key&${range}`)).body;
    expect(byKey.data[0]).toMatchObject({ accountName: 'Ada', apiKeyName: expect.stringMatching(/^[ab]$/) });
    const byDeployment = (await admin.call('GET', `/reports/usage?groupBy=deployment&${range}`)).body;
    const names = new Map(
      byDeployment.data.map((row: Record<string, string>) => [row['deploymentId'], row['deploymentName']]),
    );
    expect(names).toEqual(
      new Map([
        [deployments[0], 'd'],
        [deployments[1], null],
        [null, null],
      ]),
    );
    const { body } = await admin.call('GET', `/reports/usage?groupBy=day,model&${range}`);
    const days = body.data.map(({ day }: { day: string }) => day);
    expect(days).toEqual([...days].sort());
  });

  it('is about the last 30 days unless told otherwise', async () => {
    const { body } = await admin.call('GET', '/reports/usage');
    expect(body.groupBy).toEqual(['day']);
    expect(Date.parse(body.to) - Date.now()).toBeLessThan(1_000);
    const today = Math.floor(Date.parse(body.to) / DAY_MS) * DAY_MS;
    expect(Date.parse(body.from)).toBe(today - 30 * DAY_MS);
  });

  it.each([
    ['groupBy=color', '/groupBy', /one or two of account, key/],
    ['groupBy=day,day', '/groupBy', /one or two/],
    ['groupBy=day,model,key', '/groupBy', /one or two/],
    ['from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z', '/to', /between from and to/],
    ['groupBy=hour&from=2026-01-01T00:00:00Z&to=2026-02-02T00:00:00Z', '/from', /at most 31 days/],
    ['limit=5', '/limit', /this has no pages/],
  ])('refuses ?%s', async (query, pointer, message) => {
    const { status, body } = await admin.call('GET', `/reports/usage?${query}`);
    expect([status, body.errors]).toEqual([422, [{ pointer, message: expect.stringMatching(message) }]]);
  });

  it('says to narrow what would be too long', async () => {
    await admin.owner.query(
      `INSERT INTO tollgate.usage_record (request_id, account_id, api_key_id, model, upstream_model, price_id, multiplier_ppm,
         units, billable, usage_source, outcome, cost, attempts, total_ms, finished_at, body_hash)
       SELECT (lpad(to_hex(1500000000000 + n), 12, '0') || '7000' || '8000' || lpad(to_hex(n), 12, '0'))::uuid,
         $1, $1, 'm' || n, 'up', $1, 1000000, '{}', true, 'none', 'timeout', 0, 1, 1, now(), ''
         FROM generate_series(1, 10001) AS n`,
      [uuidv4()],
    );
    const span = (ms: number) =>
      queryOf({ from: new Date(1_500_000_000_000), to: new Date(1_500_000_000_000 + ms) });
    const all = await admin.call('GET', `/reports/usage?groupBy=model&${span(10_002)}`);
    expect([all.status, all.body.errors?.[0]?.pointer]).toEqual([422, '/groupBy']);
    const most = await admin.call('GET', `/reports/usage?groupBy=model&${span(10_001)}`);
    expect([most.status, most.body.data.length, most.body.totals.requests]).toEqual([200, 10_000, 10_000]);
  });
});

function sampleEvent(): UsageEvent {
  const [event] = events;
  if (event === undefined) throw new Error('there are events');
  return event;
}

describe('GET /reports/revenue', () => {
  const FIELD: Record<string, string> = {
    top_up: 'topUps',
    grant: 'grants',
    refund: 'refunds',
    adjustment: 'adjustments',
    usage: 'charged',
    absorbed: 'absorbed',
  };
  const OUT = new Set(['refund', 'adjustment', 'usage']);
  const FIELDS = ['topUps', 'grants', 'refunds', 'adjustments', 'expired', 'charged', 'absorbed'];

  function ownerOf({ account_id: accountId, ref_id: refId }: Transfer): string | undefined {
    return accountId ?? events.find(({ requestId }) => requestId === refId)?.accountId;
  }

  /** What the ledger says moved, as the report names it. */
  function movedIn(of: readonly Transfer[]): Record<string, string> {
    const sums = new Map(FIELDS.map((field) => [field, 0n]));
    for (const { kind, amount } of of) {
      const field = FIELD[kind] ?? '';
      const sign = OUT.has(kind) && field !== 'charged' ? -1n : 1n;
      sums.set(field, (sums.get(field) ?? 0n) + sign * BigInt(amount));
    }
    return Object.fromEntries([...sums].map(([field, sum]) => [field, formatAmount(sum)]));
  }

  function balanceAt(end: Date, accountId?: string): string {
    const touched = transfers.filter(
      (transfer) =>
        transfer.account_id !== null &&
        transfer.created_at < end &&
        (accountId === undefined || transfer.account_id === accountId),
    );
    return formatAmount(
      touched.reduce((sum, { kind, amount }) => sum + (OUT.has(kind) ? -1n : 1n) * BigInt(amount), 0n),
    );
  }

  it('says what the ledger says, however it is grouped, and what is still owed', async () => {
    const questions = fc.record({
      groupBy: fc.constantFrom('day', 'month', 'account'),
      span: spans,
      account: fc.option(fc.nat({ max: 2 }), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(questions, async ({ groupBy, span, account }) => {
        const accountId = account === undefined ? undefined : accounts[account];
        const { status, body } = await admin.call(
          'GET',
          `/reports/revenue?${queryOf({ groupBy, ...span, accountId })}`,
        );
        expect([status, body]).toEqual([200, expect.anything()]);
        const { data, totals, opening } = revenueReportSchema.parse(body);
        const chosen = transfers.filter(
          (transfer) =>
            transfer.created_at >= span.from &&
            transfer.created_at < span.to &&
            (accountId === undefined || ownerOf(transfer) === accountId),
        );
        expect(opening).toBe(balanceAt(span.from, accountId));
        expect(totals).toEqual({ ...movedIn(chosen), liability: balanceAt(span.to, accountId) });
        for (const field of FIELDS) {
          const sum = data.reduce((total, row) => total + parseAmount(String(Reflect.get(row, field))), 0n);
          expect([field, formatAmount(sum)]).toEqual([field, Reflect.get(totals, field)]);
        }
        for (const { day, month, accountId: owner, accountName: _name, ...sums } of data) {
          const period = day ?? month;
          const inRow = chosen.filter((transfer) =>
            period === undefined
              ? ownerOf(transfer) === owner
              : transfer.created_at.toISOString().startsWith(period),
          );
          const next = new Date(`${(period ?? '2026-01').padEnd(10, '-01')}T00:00:00Z`);
          if (month === undefined) next.setUTCDate(next.getUTCDate() + 1);
          else next.setUTCMonth(next.getUTCMonth() + 1);
          const end = period === undefined || next > span.to ? span.to : next;
          expect(sums).toEqual({ ...movedIn(inRow), liability: balanceAt(end, accountId ?? owner) });
        }
      }),
      { seed: SEED, numRuns: 60 },
    );
  }, 120_000);

  it('has a row for every day or month, also where nothing moved', async () => {
    const days = await admin.call(
      'GET',
      '/reports/revenue?from=2020-02-27T12:00:00Z&to=2020-03-02T00:00:00Z',
    );
    expect(days.body.data.map(({ day }: { day: string }) => day)).toEqual([
      '2020-02-27',
      '2020-02-28',
      '2020-02-29',
      '2020-03-01',
    ]);
    const months = await admin.call('GET', '/reports/revenue?groupBy=month');
    expect(months.body.data).toHaveLength(12);
    expect(months.body.data.at(-1).month).toBe(new Date().toISOString().slice(0, 7));
  });

  it.each([
    'groupBy=hour',
    'groupBy=day,account',
    'accountId=me',
    'from=2020-01-01T00:00:00Z&to=2022-01-01T00:00:00Z',
  ])('refuses ?%s', async (query) => {
    expect((await admin.call('GET', `/reports/revenue?${query}`)).status).toBe(422);
  });
});
