import { AmountFormatError, formatRate, parseRate } from '@tollgate/pricing';
import { z } from 'zod';
import {
  amountField,
  decimalText,
  dialectField,
  exactly,
  externalIdField,
  metadataField,
  nameField,
  planField,
} from '../http/fields.js';
import { pageParameters } from '../http/page.js';
import { searchField } from '../http/text-search.js';
import { balanceSchema } from './balance.js';

const MULTIPLIER_PPM_MAX = 1_000_000_000n;

/** A factor on every cost, as answers show it. */
const multiplierText = decimalText('1.25').meta({
  description: 'A factor on every cost, a decimal string from "0" to "1000".',
  pattern: String.raw`^\d{1,4}(\.\d{1,6})?$`,
  examples: ['1.25'],
});

/** A factor on every cost, such as "1.25", read as parts per million: six decimals are exact, as in a rate. */
const multiplierField = multiplierText.transform(exactly(parseMultiplier)).transform(Number);

export const createAccountSchema = z.strictObject({
  name: nameField,
  externalId: externalIdField.nullish(),
  plan: planField.default('default'),
  multiplier: multiplierField.prefault('1'),
  floor: amountField.prefault('0'),
  dialect: dialectField.default(null),
  metadata: metadataField.default({}),
});

export const patchAccountSchema = z.strictObject({
  name: nameField.optional(),
  externalId: externalIdField.nullish(),
  status: z.enum(['active', 'suspended']).optional(),
  plan: planField.optional(),
  multiplier: multiplierField.optional(),
  floor: amountField.optional(),
  dialect: dialectField.optional(),
  /** A merge patch: null removes a field. */
  metadata: metadataField.nullish(),
});

export const listAccountsSchema = z.strictObject({
  ...pageParameters,
  /** Part of a name or of an external id, in any case. */
  q: searchField.optional(),
  status: z.enum(['active', 'suspended']).optional(),
  externalId: z.string().max(200).optional(),
});

export const accountSchema = z
  .strictObject({
    id: z.uuid(),
    name: z.string(),
    externalId: z.string().nullable(),
    status: z.enum(['active', 'suspended']),
    plan: z.string(),
    multiplier: multiplierText,
    dialect: z.string().nullable(),
    metadata: z.record(z.string(), z.unknown()),
    balance: balanceSchema,
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'Account' });

export type CreateAccount = z.infer<typeof createAccountSchema>;
export type PatchAccount = z.infer<typeof patchAccountSchema>;
export type ListAccounts = z.infer<typeof listAccountsSchema>;
export type AccountView = z.infer<typeof accountSchema>;

/** Writes a multiplier given in parts per million. */
export function formatMultiplier(ppm: number): string {
  return formatRate(BigInt(ppm));
}

function parseMultiplier(text: string): bigint {
  const ppm = /^\d{1,4}(\.\d{1,6})?$/.test(text) ? parseRate(text) : MULTIPLIER_PPM_MAX + 1n;
  if (ppm > MULTIPLIER_PPM_MAX) {
    throw new AmountFormatError('expected a decimal string from "0" to "1000", with at most 6 decimals');
  }
  return ppm;
}
