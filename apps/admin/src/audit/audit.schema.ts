import { z } from 'zod';
import { instantField } from '../http/fields.js';
import { pageParameters } from '../http/page.js';

export const listAuditSchema = z.strictObject({
  ...pageParameters,
  /** Such as `account/<id>`. */
  target: z.string().max(300).optional(),
  /** Such as `account.create`. */
  action: z.string().max(100).optional(),
  from: instantField.optional(),
  to: instantField.optional(),
});

export const auditSchema = z.strictObject({
  id: z.string(),
  actor: z.string(),
  action: z.string(),
  target: z.string(),
  before: z.unknown(),
  after: z.unknown(),
  requestId: z.string().nullable(),
  createdAt: z.iso.datetime(),
});

export type ListAudit = z.infer<typeof listAuditSchema>;
export type AuditView = z.infer<typeof auditSchema>;
