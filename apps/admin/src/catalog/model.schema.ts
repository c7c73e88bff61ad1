import { z } from 'zod';
import { lineField, modelIdField, nameField } from '../http/fields.js';
import { pageParameters } from '../http/page.js';
import { searchField } from '../http/text-search.js';

const TOKENS_MAX = 1_000_000_000;
const tokensField = z.int().min(1).max(TOKENS_MAX);

export const createModelSchema = z.strictObject({
  id: modelIdField,
  displayName: nameField.nullish(),
  ownedBy: lineField(100).default('tollgate'),
  contextTokens: tokensField.nullish(),
  outputTokensMax: tokensField.nullish(),
});

export const patchModelSchema = z.strictObject({
  displayName: nameField.nullish(),
  ownedBy: lineField(100).optional(),
  contextTokens: tokensField.nullish(),
  outputTokensMax: tokensField.nullish(),
});

export const modelParameters = z.object({ id: modelIdField });

export const listModelsSchema = z.strictObject({
  ...pageParameters,
  /** Part of an id or of a display name, in any case. */
  q: searchField.optional(),
});

export const modelSchema = z
  .strictObject({
    id: z.string(),
    displayName: z.string().nullable(),
    ownedBy: z.string(),
    contextTokens: z.int().nullable(),
    outputTokensMax: z.int().nullable(),
    /** Whether callers can use it: a price is in force and an active deployment serves it. */
    sellable: z.boolean(),
    reason: z.enum(['no_price', 'no_deployment']).nullable(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'Model' });

export type CreateModel = z.infer<typeof createModelSchema>;
export type PatchModel = z.infer<typeof patchModelSchema>;
export type ListModels = z.infer<typeof listModelsSchema>;
export type ModelView = z.infer<typeof modelSchema>;
