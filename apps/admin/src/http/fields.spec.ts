import { UNIT_KINDS } from '@tollgate/pricing';
import { z } from 'zod';
import { createAccountSchema } from '../accounts/account.schema.js';
import { createPriceSchema } from '../catalog/price.schema.js';
import { topUpSchema } from '../credits/transfer.schema.js';
import { patchSettingsSchema } from '../settings/settings.schema.js';
import { amountField, instantField, modelIdField, rateField } from './fields.js';

function accepts(field: z.ZodType, values: readonly unknown[]): unknown[] {
  return values.filter((value) => field.safeParse(value).success);
}

describe('fields', () => {
  it('read amounts and rates exactly, as strings only', () => {
    expect(amountField.parse('-12.000000001')).toBe(-12_000_000_001n);
    expect(rateField.parse('0.000001')).toBe(1n);
    expect(accepts(amountField, [1, '1e3', '+1', ' 1', '1.0000000001', '9000000.1', '٣', null])).toEqual([]);
    expect(accepts(rateField, [1, '-1', '0.0000001', '1e-3'])).toEqual([]);
  });

  it('say of an amount what is expected', () => {
    const parsed = amountField.safeParse('1,5');
    expect(parsed.error?.issues[0]?.message).toMatch(/decimal string of credits/);
  });

  it('say of a JSON number in every field of money or rates that it must be a string', () => {
    const rates = Object.fromEntries(UNIT_KINDS.map((kind) => [kind, 1]));
    const parsed = [
      createPriceSchema.safeParse({ model: 'm', rates, perRequest: 1, minimumCharge: 1 }),
      createAccountSchema.safeParse({ name: 'Ada', multiplier: 1, floor: 1 }),
      topUpSchema.safeParse({ amount: 12.5 }),
      patchSettingsSchema.safeParse({ points: { creditsPerPoint: 1 } }),
    ];
    const issues = parsed.flatMap(({ error }) => error?.issues ?? []);
    expect(issues.map(({ path }) => path.join('.'))).toEqual([
      ...UNIT_KINDS.map((kind) => `rates.${kind}`),
      'perRequest',
      'minimumCharge',
      'multiplier',
      'floor',
      'amount',
      'points.creditsPerPoint',
    ]);
    for (const { message } of issues) {
      expect(message).toMatch(/^must be a decimal string such as "[\d.]+", not a number$/);
    }
  });

  it('say of an amount that is missing or no text what is expected', () => {
    const messageOf = (amount: unknown) => topUpSchema.safeParse({ amount }).error?.issues[0]?.message;
    expect(messageOf(null)).toBe('must be a decimal string such as "12.5"');
    expect(messageOf(undefined)).toMatch(/expected string, received undefined/);
  });

  it('read times in UTC with at most what a database can hold', () => {
    expect(instantField.parse('2026-01-31T12:00:00.5Z')).toEqual(new Date('2026-01-31T12:00:00.500Z'));
    const wrong = [
      '2026-01-31',
      '2026-01-31T12:00:00',
      '2026-01-31T12:00:00+01:00',
      '2026-02-30T00:00:00Z',
      '',
    ];
    expect(accepts(instantField, [...wrong, '1970-01-01T00:00:00Z', '9999-12-31T00:00:00Z', 0])).toEqual([]);
  });

  it('take model names as the field writes them', () => {
    const names = ['gpt-4o', 'zhipu/glm-5:free', 'org/model@v1.2+x', 'o1'];
    expect(accepts(modelIdField, names)).toEqual(names);
    expect(accepts(modelIdField, ['', ' ', '-x', 'a b', 'a\n', '模型', 'x'.repeat(257)])).toEqual([]);
  });
});
