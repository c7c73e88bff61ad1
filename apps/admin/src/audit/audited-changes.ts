import { Injectable } from '@nestjs/common';
import { AuditLogEntity } from '@tollgate/persistence';
import { DataSource, type EntityManager, type ObjectLiteral } from 'typeorm';
import type { Actor } from '../auth/operator.js';

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
  constructor(private readonly dataSource: DataSource) {}

  /** Runs a change in one transaction with its audit rows; whatever throws undoes both. */
  async run<Answer>(
    actor: Actor,
    change: (manager: EntityManager) => Promise<ChangeResult<Answer>>,
  ): Promise<Answer> {
    return this.dataSource.transaction(async (manager) => {
      const { answer, audit } = await change(manager);
      const rows = audit.map((entry) => auditRow(actor, entry));
      if (rows.length > 0) await manager.insert<ObjectLiteral>(AuditLogEntity, rows);
      return answer;
    });
  }
}

function auditRow({ operator, requestId }: Actor, entry: AuditEntry): Partial<AuditLogEntity> {
  return { ...entry, actor: `operator:${operator.name}`, requestId };
}
