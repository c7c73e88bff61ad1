import { RequestProblem } from '@tollgate/openai';
import { daysAsked } from './billing-dashboard.js';
import { dashboardQuerySchema } from './dashboard.schema.js';
import { readQuery } from './query-parameters.js';
import { readGenerationId, usageQuerySchema } from './usage.schema.js';

const HEX = '01a1fda04c5f73afa4901e71198512a9';
const UUID = '01a1fda0-4c5f-73af-a490-1e71198512a9';
const NOW = new Date('2026-11-21T10:00:00Z');

function problemOf(read: () => unknown): { param: string | null; code: string | null } {
  try {
    read();
  } catch (error) {
    if (error instanceof RequestProblem) return { param: error.param, code: error.code };
    throw error;
  }
  throw new Error('it was taken');
}

describe('the query of usage', () => {
  it('has a page size, and takes empty parameters for absent ones', () => {
    expect(readQuery(usageQuerySchema, {})).toEqual({ limit: 50 });
    const empty = { limit: '', cursor: '', model: '', from: '', to: '' };
    expect(readQuery(usageQuerySchema, empty)).toEqual({ limit: 50 });
  });

  it('takes every filter', () => {
    const query = {
      limit: '200',
      cursor: `req_${HEX}`,
      model: 'vendor/名:latest',
      from: '2026-11-01',
      to: '2026-11-02T03:04:05.678Z',
    };
    expect(readQuery(usageQuerySchema, query)).toEqual({
      limit: 200,
      cursor: UUID,
      model: 'vendor/名:latest',
      from: new Date('2026-11-01T00:00:00Z'),
      to: new Date('2026-11-02T03:04:05.678Z'),
    });
  });

  it.each([
    ['limit', '0'],
    ['limit', '201'],
    ['limit', '1e2'],
    ['limit', '-1'],
    ['limit', '9'.repeat(400)],
    ['limit', ['1', '2']],
    ['cursor', 'x'],
    ['cursor', `req_${HEX}0`],
    ['model', 'a\u0000b'],
    ['model', '\ud800'],
    ['model', 'x'.repeat(257)],
    ['from', 'yesterday'],
    ['from', '2026-02-30'],
    ['from', '2026-11-01T00:00:00+08:00'],
    ['from', '1999-12-31'],
    ['to', '2200-01-01'],
    ['to', '1763683200'],
  ])('refuses %s=%j', (param, value) => {
    const problem = problemOf(() => readQuery(usageQuerySchema, { [param]: value }));
    expect(problem).toEqual({ param, code: 'invalid_value' });
  });

  it('refuses a span that ends before it begins', () => {
    const query = { from: '2026-11-02', to: '2026-11-01' };
    expect(problemOf(() => readQuery(usageQuerySchema, query)).param).toBe('from');
  });

  it.each(['modle', 'scope', '__proto__', 'x'.repeat(64)])('refuses the unknown parameter %s', (param) => {
    const query = Object.fromEntries([[param, '1']]);
    expect(problemOf(() => readQuery(usageQuerySchema, query))).toEqual({ param, code: 'unknown_parameter' });
  });
});

describe('the id of a generation', () => {
  it.each([`req_${HEX}`, UUID, UUID.toUpperCase(), `chatcmpl-${HEX}`, `cmpl-${HEX}`])('may be %s', (id) => {
    expect(readGenerationId(id)).toBe(UUID);
  });

  it.each(['', HEX, `chatcmpl-${UUID}`, `gen-${HEX}`, `chatcmpl-req_${HEX}`, '\u0000'])('is not %j', (id) => {
    expect(readGenerationId(id)).toBeNull();
  });
});

describe('the days of a billing page', () => {
  function asked(query: Record<string, unknown>): [string, string, number] {
    const days = daysAsked(readQuery(dashboardQuerySchema, query), NOW);
    const dates = days.map(({ from }) => from.toISOString().slice(0, 10));
    return [dates[0] ?? '', dates.at(-1) ?? '', dates.length];
  }

  it.each([
    ['the current month', {}, ['2026-11-01', '2026-11-30', 30]],
    ['one day', { start_date: '2026-11-05', end_date: '2026-11-05' }, ['2026-11-05', '2026-11-05', 1]],
    ['a leap month', { start_date: '2024-02-01', end_date: '2024-2-29' }, ['2024-02-01', '2024-02-29', 29]],
    ['400 days', { start_date: '2025-01-01', end_date: '2026-02-04' }, ['2025-01-01', '2026-02-04', 400]],
    ['until the end of this month', { start_date: '2026-09-15' }, ['2026-09-15', '2026-11-30', 77]],
    ['until the end of a later month', { start_date: '2027-02-10' }, ['2027-02-10', '2027-02-28', 19]],
    ['from the start of the month', { end_date: '2026-03-04' }, ['2026-03-01', '2026-03-04', 4]],
    ['with what clients add', { start_date: '', _: '17' }, ['2026-11-01', '2026-11-30', 30]],
  ])('are %s', (_what, query, days) => {
    expect(asked(query)).toEqual(days);
  });

  it.each([
    ['start_date', { start_date: '2026-11-06', end_date: '2026-11-05' }],
    ['end_date', { start_date: '2025-01-01', end_date: '2026-02-05' }],
    ['start_date', { start_date: '2026-02-30' }],
    ['start_date', { start_date: '0026-02-03' }],
    ['end_date', { end_date: '9999-12-31' }],
    ['end_date', { end_date: '2026-13-01' }],
    ['end_date', { end_date: ['2026-11-01', '2026-11-02'] }],
    ['end_date', { end_date: '2026-11-05T00:00:00Z' }],
  ])('are refused for %s', (param, query) => {
    expect(problemOf(() => asked(query))).toEqual({ param, code: 'invalid_value' });
  });
});
