import { Injectable } from '@nestjs/common';
import { AuditLogEntity } from '@tollgate/persistence';
import { DataSource, type EntityManager, type ObjectLiteral } from 'typeorm';
import type { Actor } from '../auth/operator.js';
import { AdminTelemetry } from '../telemetry/admin-telemetry.js';

/** What the audit log keeps of a change. Never put a secret into it: what an answer shows is fit for it. */
export interface AuditEntry {
  readonly action: string;
  /** The kind and id of what changed, `account/<id>`. */
  readonly target: string;
  readonly before: object | null;
  readonly after: object | null;
}

export interface ChangeResult<Answer> {
  readonly answer: Answer;
  /** Empty when the request turned out to change nothing. */
  readonly audit: readonly AuditEntry[];
}

/** The only way in which this process writes: a transaction that ends with the audit rows of what it did. */
@Injectable()
export class AuditedChanges {
  constructor(
    private readonly dataSource: DataSource,
    private readonly telemetry: AdminTelemetry,
  ) {}

  /** Runs a change in one transaction with its audit rows; whatever throws undoes both. */
  async run<Answer>(
    actor: Actor,
    change: (manager: EntityManager) => Promise<ChangeResult<Answer>>,
  ): Promise<Answer> {
    const { answer, audit } = await this.dataSource.transaction(async (manager) => {
      const result = await change(manager);
      const { audit } = result;
      const rows = audit.map((entry) => auditRow(actor, entry));
      if (rows.length > 0) await manager.insert<ObjectLiteral>(AuditLogEntity, rows);
      return result;
    });
    for (const { action, target } of audit) {
      this.telemetry.changed({ action, target, actor: nameOf(actor), requestId: actor.requestId });
    }
    return answer;
  }
}

function auditRow(actor: Actor, entry: AuditEntry): Partial<AuditLogEntity> {
  return { ...entry, actor: nameOf(actor), requestId: actor.requestId };
}

function nameOf({ operator }: Actor): string {
  return `operator:${operator.name}`;
}
