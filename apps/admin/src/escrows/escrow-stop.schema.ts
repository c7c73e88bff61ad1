import { z } from 'zod';
import { idField } from '../http/fields.js';
import { pageParameters } from '../http/page.js';

const NOTE_LENGTH_MAX = 1_000;

export const escrowStopParameters = z.object({ id: z.string().regex(/^[1-9]\d{0,17}$/) });

export const listEscrowStopsSchema = z.strictObject({
  ...pageParameters,
  accountId: idField.optional(),
  status: z.enum(['open', 'cleared']).optional(),
});

export const clearEscrowStopSchema = z.strictObject({
  /** Why: for whoever asks later. */
  note: z.string().trim().min(1, 'must say why').max(NOTE_LENGTH_MAX),
});

export const escrowStopSchema = z
  .strictObject({
    id: z.string(),
    accountId: z.uuid(),
    status: z.enum(['open', 'cleared']),
    /** What is wrong with the account's books, as the last check found it; at most twenty. */
    violations: z.array(
      z.strictObject({
        invariant: z.string(),
        /** The account, request or reservation that it is about. */
        ref: z.string(),
        detail: z.string(),
      }),
    ),
    createdAt: z.iso.datetime(),
    clearedAt: z.iso.datetime().nullable(),
    note: z.string().nullable(),
  })
  .meta({ id: 'EscrowStop' });

export type ListEscrowStops = z.infer<typeof listEscrowStopsSchema>;
export type EscrowStopView = z.infer<typeof escrowStopSchema>;
