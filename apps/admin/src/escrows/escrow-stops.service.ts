import { Injectable } from '@nestjs/common';
import { clearEscrowStop } from '@tollgate/ledger';
import { EscrowStopEntity } from '@tollgate/persistence';
import { DataSource, type EntityManager } from 'typeorm';
import { AuditedChanges } from '../audit/audited-changes.js';
import type { Actor } from '../auth/operator.js';
import { PageReader, type Page } from '../http/page.js';
import { Problem, notFound } from '../http/problem.js';
import { escrowStopSchema, type EscrowStopView, type ListEscrowStops } from './escrow-stop.schema.js';

const violationsSchema = escrowStopSchema.shape.violations;

/** Accounts whose books were found wrong get no new escrow until somebody has looked. */
@Injectable()
export class EscrowStopsService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly changes: AuditedChanges,
    private readonly pages: PageReader,
  ) {}

  async list({ accountId, status, ...page }: ListEscrowStops): Promise<Page<EscrowStopView>> {
    const query = this.dataSource.manager.createQueryBuilder(EscrowStopEntity, 'stop');
    if (accountId !== undefined) query.andWhere('stop.account_id = :accountId', { accountId });
    if (status === 'open') query.andWhere('stop.cleared_at IS NULL');
    if (status === 'cleared') query.andWhere('stop.cleared_at IS NOT NULL');
    return this.pages.read(page, {
      name: 'escrow-stops',
      query,
      newestFirst: ['stop.id'],
      after: 'stop.id < :position',
      positionOf: (stop) => stop.id,
      toItem: escrowStopView,
    });
  }

  async read(id: string): Promise<EscrowStopView> {
    return readStop(this.dataSource.manager, id);
  }

  /**
   * Lets the account have escrow again. Again it changes nothing.
   * @throws Problem 404; 409 while its books are wrong.
   */
  async clear(actor: Actor, id: string, note: string): Promise<EscrowStopView> {
    return this.changes.run(actor, async (manager) => {
      const before = await readStop(manager, id);
      const outcome = await clearEscrowStop((text, params) => manager.query(text, params), id, note);
      if (outcome === 'unknown') throw notFound('escrow stop');
      if (outcome === 'still_wrong') {
        throw new Problem(
          'books_wrong',
          'The books of this account have a violation now. Set them right as the owner of the database first: docs/operations.md says how.',
        );
      }
      const after = await readStop(manager, id);
      const entry = { action: 'escrow_stop.clear', target: `escrow_stop/${id}`, before, after };
      return { answer: after, audit: outcome === 'cleared' ? [entry] : [] };
    });
  }
}

async function readStop(manager: EntityManager, id: string): Promise<EscrowStopView> {
  const stop = await manager.findOneBy(EscrowStopEntity, { id });
  if (stop === null) throw notFound('escrow stop');
  return escrowStopView(stop);
}

function escrowStopView(stop: EscrowStopEntity): EscrowStopView {
  const { id, accountId, violations, createdAt, clearedAt, note } = stop;
  return {
    id,
    accountId,
    status: clearedAt === null ? 'open' : 'cleared',
    violations: violationsSchema.parse(violations),
    createdAt: createdAt.toISOString(),
    clearedAt: clearedAt?.toISOString() ?? null,
    note,
  };
}
