import { UNIT_KINDS, UNITS_MAX } from '@tollgate/pricing';
import { z } from 'zod';
import { amountText, idField, instantField } from '../http/fields.js';
import { pageParameters } from '../http/page.js';

const NOTE_LENGTH_MAX = 1_000;
const REPLAYS_MAX = 200;
const REPLAYS_DEFAULT = 100;
const MULTIPLIER_PPM_MAX = 1_000_000_000;
const INT_MAX = 2 ** 31 - 1;
const NUMBER_PATTERN = /^[1-9]\d{0,17}$/;

const filters = {
  /** The code alone: `malformed`, `cost_mismatch`, … */
  reason: z.string().min(1).max(100).optional(),
  /** The account that the event names. */
  accountId: idField.optional(),
  from: instantField.optional(),
  to: instantField.optional(),
};

const statusField = z.enum(['open', 'replayed', 'discarded']);

export const deadLetterParameters = z.object({ id: z.string().regex(NUMBER_PATTERN) });

export const listDeadLettersSchema = z.strictObject({
  ...pageParameters,
  ...filters,
  status: statusField.optional(),
});

export const replayDeadLettersSchema = z.strictObject({
  ...filters,
  /** How many are replayed by this call at most. */
  limit: z.int().min(1).max(REPLAYS_MAX).default(REPLAYS_DEFAULT),
  /** The `nextCursor` of the call before. */
  cursor: z.string().regex(NUMBER_PATTERN, 'is not a cursor of this call').optional(),
});

/** Stands in for what the event says; what is not given stays. Its cost is reckoned again. */
const correctionField = z
  .strictObject({
    accountId: z.uuid().optional(),
    priceId: z.uuid().optional(),
    multiplierPpm: z.int().min(0).max(MULTIPLIER_PPM_MAX).optional(),
    units: z.partialRecord(z.enum(UNIT_KINDS), z.int().min(0).max(UNITS_MAX)).optional(),
    billable: z.boolean().optional(),
    totalMs: z.int().min(0).max(INT_MAX).optional(),
  })
  .refine((event) => Object.keys(event).length > 0, 'must correct something');

export const correctDeadLetterSchema = z.strictObject({
  event: correctionField,
  /** Why: for whoever asks later. */
  note: z.string().trim().min(1, 'must say why').max(NOTE_LENGTH_MAX),
});

export const discardDeadLetterSchema = z.strictObject({
  /** Why: for whoever asks later. */
  note: z.string().trim().min(1, 'must say why').max(NOTE_LENGTH_MAX),
});

export const deadLetterSchema = z
  .strictObject({
    id: z.string(),
    /** As callers know it; null where the event does not say. */
    requestId: z.string().nullable(),
    accountId: z.string().nullable(),
    status: statusField,
    /** A code. After a replay that failed, why that one failed. */
    reason: z.string(),
    /** What the reason means and what can be done about it. */
    explanation: z.string(),
    /** False where no replay can ever help: what is left is to discard it. */
    replayable: z.boolean(),
    createdAt: z.iso.datetime(),
    resolution: z
      .strictObject({
        /** `known`: its usage was settled before, so nothing moved. */
        outcome: z.enum(['settled', 'known', 'discarded']),
        charged: amountText,
        absorbed: amountText,
        /** What the hold of a discarded request had still set aside. */
        freed: amountText,
        note: z.string().nullable(),
        createdAt: z.iso.datetime(),
      })
      .nullable(),
  })
  .meta({ id: 'DeadLetter' });

/** With the event as it came. Usage events carry no secrets and no content of requests. */
export const readDeadLetterSchema = deadLetterSchema
  .extend({ event: z.unknown() })
  .meta({ id: 'DeadLetterWithEvent' });

export const replayAnswerSchema = z
  .strictObject({
    /** `quarantined`: it failed again and stays open. */
    outcome: z.enum(['settled', 'known', 'quarantined']),
    reason: z.string().nullable(),
    /** What the replay that settled it moved, this one or an earlier one. */
    charged: amountText,
    absorbed: amountText,
    deadLetter: deadLetterSchema,
  })
  .meta({ id: 'Replay' });

export const replaysAnswerSchema = z
  .strictObject({
    settled: z.int(),
    known: z.int(),
    /** Failed again, and still open. */
    quarantined: z.int(),
    charged: amountText,
    absorbed: amountText,
    /** Where more match: give it to the next call. */
    nextCursor: z.string().nullable(),
  })
  .meta({ id: 'Replays' });

export type CorrectDeadLetter = z.infer<typeof correctDeadLetterSchema>;
export type ListDeadLetters = z.infer<typeof listDeadLettersSchema>;
export type ReplayDeadLetters = z.infer<typeof replayDeadLettersSchema>;
export type DeadLetterFilters = Pick<ListDeadLetters, 'reason' | 'accountId' | 'from' | 'to' | 'status'>;
export type DeadLetterView = z.infer<typeof deadLetterSchema>;
export type ReadDeadLetterView = z.infer<typeof readDeadLetterSchema>;
export type ReplayAnswer = z.infer<typeof replayAnswerSchema>;
export type ReplaysAnswer = z.infer<typeof replaysAnswerSchema>;
