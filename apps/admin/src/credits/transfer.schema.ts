import { z } from 'zod';
import { balanceSchema } from '../accounts/balance.js';
import { exportParameters } from '../http/export-format.js';
import { amountField, amountText, idField, instantField, lineField } from '../http/fields.js';
import { pageParameters } from '../http/page.js';

export const TRANSFER_KINDS = [
  'usage',
  'swept',
  'absorbed',
  'reversal',
  'top_up',
  'grant',
  'refund',
  'adjustment',
  'expiry',
] as const;

const REFERENCE_LENGTH_MAX = 200;
const NOTE_LENGTH_MAX = 1_000;

const explanation = {
  /** The id of the payment or case in the operator's own system. */
  reference: lineField(REFERENCE_LENGTH_MAX).nullish(),
  note: z.string().max(NOTE_LENGTH_MAX).nullish(),
};

const positiveAmountField = amountField.refine((nano) => nano > 0n, 'must be more than 0');
const negativeAmountField = amountField.refine(
  (nano) => nano < 0n,
  'must be less than 0: it leaves the account',
);

export const topUpSchema = z.strictObject({ amount: positiveAmountField, ...explanation });

/** Amounts are signed from the account's side: a grant comes in, a refund of credits that were bought goes out. */
export const adjustmentSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('grant'), amount: positiveAmountField, ...explanation }),
  z.strictObject({ kind: z.literal('refund'), amount: negativeAmountField, ...explanation }),
  z.strictObject({
    kind: z.literal('adjustment'),
    amount: amountField.refine((nano) => nano !== 0n, 'must not be 0'),
    ...explanation,
  }),
]);

/** The header of a money call; the same key again gives the same answer and moves nothing. */
export const idempotencyKeyField = z
  .string()
  .regex(/^[\x20-\x7e]{1,255}$/, 'must be 1 to 255 printable ASCII characters');

const accountTransferFilters = {
  kind: z.enum(TRANSFER_KINDS).optional(),
  from: instantField.optional(),
  to: instantField.optional(),
};
const transferFilters = { ...accountTransferFilters, accountId: idField.optional() };
export const listAccountTransfersSchema = z.strictObject({ ...pageParameters, ...accountTransferFilters });
export const listTransfersSchema = z.strictObject({ ...pageParameters, ...transferFilters });
export const exportAccountTransfersSchema = z.strictObject({
  ...exportParameters,
  ...accountTransferFilters,
});
export const exportTransfersSchema = z.strictObject({ ...exportParameters, ...transferFilters });

export const transferSchema = z
  .strictObject({
    id: z.string(),
    accountId: z.uuid(),
    kind: z.enum(TRANSFER_KINDS),
    /** Signed from the account's side. */
    amount: amountText,
    balanceAfter: amountText,
    reference: z.string().nullable(),
    note: z.string().nullable(),
    /** The request that a movement of usage is for. */
    requestId: z.string().optional(),
    seq: z.int(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Transfer' });

export const moneyAnswerSchema = z
  .strictObject({ transfer: transferSchema, balance: balanceSchema })
  .meta({ id: 'MovedCredits' });

export type TopUp = z.infer<typeof topUpSchema>;
export type Adjustment = z.infer<typeof adjustmentSchema>;
export type ListAccountTransfers = z.infer<typeof listAccountTransfersSchema>;
export type ListTransfers = z.infer<typeof listTransfersSchema>;
export type ExportAccountTransfers = z.infer<typeof exportAccountTransfersSchema>;
export type ExportTransfers = z.infer<typeof exportTransfersSchema>;
export type TransferFilters = Omit<ListTransfers, keyof typeof pageParameters>;
export type TransferView = z.infer<typeof transferSchema>;
export type MoneyAnswer = z.infer<typeof moneyAnswerSchema>;
