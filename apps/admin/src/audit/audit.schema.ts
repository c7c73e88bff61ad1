import { z } from 'zod';
import { exportParameters } from '../http/export-format.js';
import { instantField, requestIdField } from '../http/fields.js';
import { pageParameters } from '../http/page.js';
import { searchField } from '../http/text-search.js';

const auditFilters = {
  /** Such as `operator:ada`. */
  actor: z.string().max(300).optional(),
  /** Such as `account.create`. */
  action: z.string().max(100).optional(),
  /** Such as `account/<id>`. */
  target: z.string().max(300).optional(),
  requestId: requestIdField.optional(),
  /** Text in any of these, or in what was before or after. */
  q: searchField.optional(),
  from: instantField.optional(),
  to: instantField.optional(),
};

export const listAuditSchema = z.strictObject({ ...pageParameters, ...auditFilters });

export const exportAuditSchema = z.strictObject({ ...exportParameters, ...auditFilters });

export const auditSchema = z
  .strictObject({
    id: z.string(),
    actor: z.string(),
    action: z.string(),
    target: z.string(),
    before: z.unknown(),
    after: z.unknown(),
    requestId: z.string().nullable(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'AuditRow' });

export type AuditFilters = Omit<ListAudit, keyof typeof pageParameters>;
export type ExportAudit = z.infer<typeof exportAuditSchema>;
export type ListAudit = z.infer<typeof listAuditSchema>;
export type AuditView = z.infer<typeof auditSchema>;
