import { UNIT_KINDS, type UnitKind } from '@tollgate/pricing';
import { z } from 'zod';
import {
  amountField,
  amountText,
  instantField,
  modelIdField,
  planField,
  rateField,
  rateText,
} from '../http/fields.js';
import { pageParameters } from '../http/page.js';

const BATCH_MAX = 500;
/** A price without a rate for these is a mistake: a free side is written as "0". */
const REQUIRED_KINDS: readonly UnitKind[] = ['input', 'output'];

const chargeField = amountField.refine((nano) => nano >= 0n, 'must not be negative');

const ratesField = z
  .partialRecord(z.enum(UNIT_KINDS), rateField)
  .refine((rates) => REQUIRED_KINDS.every((kind) => rates[kind] !== undefined), {
    message: `must have ${REQUIRED_KINDS.join(' and ')}`,
  });

export const createPriceSchema = z.strictObject({
  model: modelIdField,
  plan: planField.default('default'),
  rates: ratesField,
  perRequest: chargeField.prefault('0'),
  minimumCharge: chargeField.prefault('0'),
  /** Absent is now, by the database's clock. */
  effectiveFrom: instantField.optional(),
});

export const createPricesSchema = z.strictObject({
  prices: z.array(createPriceSchema).min(1).max(BATCH_MAX),
});

export const listPricesSchema = z.strictObject({
  ...pageParameters,
  model: modelIdField.optional(),
  plan: planField.optional(),
  /** Only the prices in force at this time: one for each model and plan. */
  at: instantField.optional(),
});

export const priceSchema = z
  .strictObject({
    id: z.uuid(),
    model: z.string(),
    plan: z.string(),
    rates: z.partialRecord(z.enum(UNIT_KINDS), rateText),
    perRequest: amountText,
    minimumCharge: amountText,
    effectiveFrom: z.iso.datetime(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Price' });

/** What a batch answers: no page, because it holds all that was made. */
export const pricesSchema = z.strictObject({ data: z.array(priceSchema) }).meta({ id: 'Prices' });

export type CreatePrice = z.infer<typeof createPriceSchema>;
export type CreatePrices = z.infer<typeof createPricesSchema>;
export type ListPrices = z.infer<typeof listPricesSchema>;
export type PriceView = z.infer<typeof priceSchema>;
