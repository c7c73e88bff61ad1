import { z } from 'zod';
import { nameField } from '../http/fields.js';
import { pageParameters } from '../http/page.js';

const accessField = z.enum(['full', 'read']);
const statusField = z.enum(['active', 'revoked']);

export const createOperatorTokenSchema = z.strictObject({
  /** Whom the audit log names: unique among active tokens. */
  name: nameField,
  access: accessField.default('full'),
});

export const patchOperatorTokenSchema = z.strictObject({
  name: nameField.optional(),
  access: accessField.optional(),
});

export const listOperatorTokensSchema = z.strictObject({ ...pageParameters, status: statusField.optional() });

export const operatorTokenSchema = z
  .strictObject({
    id: z.uuid(),
    name: z.string(),
    /** `read` may look at everything and change nothing. */
    access: accessField,
    /** The token's last characters; null for tokens of early versions, which did not keep them. */
    last4: z.string().nullable(),
    status: statusField,
    createdAt: z.iso.datetime(),
    /** In steps of a minute. */
    lastUsedAt: z.iso.datetime().nullable(),
    revokedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'OperatorToken' });

/** The only answer that carries the token itself. */
export const createdOperatorTokenSchema = operatorTokenSchema
  .extend({ token: z.string() })
  .meta({ id: 'CreatedOperatorToken' });

export type CreateOperatorToken = z.infer<typeof createOperatorTokenSchema>;
export type PatchOperatorToken = z.infer<typeof patchOperatorTokenSchema>;
export type ListOperatorTokens = z.infer<typeof listOperatorTokensSchema>;
export type OperatorTokenView = z.infer<typeof operatorTokenSchema>;
export type CreatedOperatorTokenView = z.infer<typeof createdOperatorTokenSchema>;
