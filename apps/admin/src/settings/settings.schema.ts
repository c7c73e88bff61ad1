import { DASHBOARD_MODES, EMPTY_COMPLETIONS, NO_CREDIT_STATUSES } from '@tollgate/persistence';
import { z } from 'zod';
import { amountField, amountText, lineField } from '../http/fields.js';

const POINTS_LABEL_LENGTH_MAX = 40;

const emptyCompletionsField = z.enum(EMPTY_COMPLETIONS);
const dashboardModeField = z.enum(DASHBOARD_MODES);
const noCreditStatusField = z.literal(NO_CREDIT_STATUSES);

/** A merge patch: null gives a setting its default again. */
export const patchSettingsSchema = z.strictObject({
  points: z
    .strictObject({
      label: lineField(POINTS_LABEL_LENGTH_MAX).nullish(),
      creditsPerPoint: amountField.refine((nano) => nano > 0n, 'must be more than 0').nullish(),
    })
    .nullish(),
  emptyCompletions: emptyCompletionsField.nullish(),
  dashboardMode: dashboardModeField.nullish(),
  noCreditStatus: noCreditStatusField.nullish(),
});

export const settingsSchema = z
  .strictObject({
    /** How callers are shown what they have and used, beside credits; nothing is booked in points. */
    points: z.strictObject({ label: z.string(), creditsPerPoint: amountText }),
    /** Whether a completed answer that says nothing costs its input. */
    emptyCompletions: emptyCompletionsField,
    /** What the limit on the old billing pages adds to the available balance: the month's usage or all there ever was. */
    dashboardMode: dashboardModeField,
    /** The HTTP status of a request that the balance does not cover; its code is `insufficient_quota` either way. */
    noCreditStatus: noCreditStatusField,
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'Settings' });

export type PatchSettings = z.infer<typeof patchSettingsSchema>;
export type SettingsView = z.infer<typeof settingsSchema>;
