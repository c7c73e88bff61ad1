import { z } from 'zod';
import {
  dialectField,
  externalIdField,
  idField,
  instantField,
  modelIdField,
  nameField,
} from '../http/fields.js';
import { pageParameters } from '../http/page.js';
import { searchField } from '../http/text-search.js';

const ALLOWED_MODELS_MAX = 1_000;

/** The models that a key may use: null is all of them, an empty list none. */
const allowedModelsField = z
  .array(modelIdField)
  .max(ALLOWED_MODELS_MAX)
  .transform((models) => [...new Set(models)])
  .nullable();

const expiresAtField = instantField
  .refine((expiresAt) => expiresAt.getTime() > Date.now(), 'must be in the future')
  .nullable();

export const createApiKeySchema = z.strictObject({
  name: nameField,
  externalId: externalIdField.nullish(),
  allowedModels: allowedModelsField.default(null),
  expiresAt: expiresAtField.default(null),
  /** Null is its account's. */
  dialect: dialectField.default(null),
});

export const patchApiKeySchema = z.strictObject({
  name: nameField.optional(),
  externalId: externalIdField.nullish(),
  allowedModels: allowedModelsField.optional(),
  expiresAt: expiresAtField.optional(),
  dialect: dialectField.optional(),
  status: z.enum(['active', 'disabled']).optional(),
});

const apiKeyStatusField = z.enum(['active', 'disabled', 'revoked', 'expired']);

export const listAccountApiKeysSchema = z.strictObject({
  ...pageParameters,
  /** Part of a name, of an external id, or of what is shown of the key, in any case. */
  q: searchField.optional(),
  status: apiKeyStatusField.optional(),
});

export const listApiKeysSchema = listAccountApiKeysSchema.extend({
  accountId: idField.optional(),
  externalId: z.string().max(200).optional(),
});

export const apiKeySchema = z
  .strictObject({
    id: z.uuid(),
    accountId: z.uuid(),
    name: z.string(),
    externalId: z.string().nullable(),
    prefix: z.string(),
    last4: z.string(),
    allowedModels: z.array(z.string()).nullable(),
    /** Expired is reckoned: an active key whose time has come. */
    status: apiKeyStatusField,
    expiresAt: z.iso.datetime().nullable(),
    dialect: z.string().nullable(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'ApiKey' });

/** The only answer that carries the key itself. */
export const createdApiKeySchema = apiKeySchema.extend({ key: z.string() }).meta({ id: 'CreatedApiKey' });

export type CreateApiKey = z.infer<typeof createApiKeySchema>;
export type PatchApiKey = z.infer<typeof patchApiKeySchema>;
export type ListApiKeys = z.infer<typeof listApiKeysSchema>;
export type ListAccountApiKeys = z.infer<typeof listAccountApiKeysSchema>;
export type ApiKeyView = z.infer<typeof apiKeySchema>;
export type CreatedApiKeyView = z.infer<typeof createdApiKeySchema>;
